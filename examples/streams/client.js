import { connect } from 'shmesh'

const session = await connect(process.env.SOCKET ?? '/tmp/shmesh-streams.sock', { memory: '64MiB' })
const stream = session.openStream()

// Made in shared memory: the write copies nothing, and takes the Buffer away from us.
const message = stream.alloc(1024 * 1024)
message.fill('x')
stream.end(message)
console.log(`written, and ${message.length} bytes of it are left here`)

// Large chunks as views of shared memory, for as long as the lease is held; small ones as copies.
let bytes = 0
stream.on('data', (chunk) => {
  bytes += chunk.length
})
stream.lendTo((view) => {
  bytes += view.length
})
stream.on('end', async () => {
  const { slicesInUse, wakesSent } = session.statistics()
  console.log(`${bytes} bytes came back; ${slicesInUse} slices in use, ${wakesSent} wake-ups sent`)
  await session.close()
})
