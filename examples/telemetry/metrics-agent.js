import { createInterface } from 'node:readline'
import { listen } from 'shmesh'

// It looks every 50 ms. No app pays for waking it up.
const totals = new Map()
const path = process.env.SOCKET ?? '/tmp/shmesh-metrics.sock'
const listener = await listen({ path, wakeUp: '50ms' })
listener.on('stream', async (stream) => {
  try {
    for await (const line of createInterface({ input: stream })) {
      for (const [name, value] of Object.entries(JSON.parse(line))) {
        totals.set(name, (totals.get(name) ?? 0) + value)
      }
    }
    stream.end()
  } catch (error) {
    console.error(error.message)
  }
})
console.log(`listening on ${listener.path}`)

process.once('SIGTERM', async () => {
  await listener.close()
  for (const [name, total] of totals) console.log(`${name} ${total}`)
})
