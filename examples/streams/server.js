import { listen } from 'shmesh'

// Answers every stream with what it receives. No HTTP: bytes, with half-close and back-pressure.
const listener = await listen({ path: process.env.SOCKET ?? '/tmp/shmesh-streams.sock' })
listener.on('stream', (stream) => {
  stream.on('error', (error) => console.error(error.message))
  stream.pipe(stream)
})
console.log(`listening on ${listener.path}`)

process.once('SIGTERM', async () => {
  await listener.close()
  await Promise.all([...listener.sessions].map((session) => session.close()))
})
