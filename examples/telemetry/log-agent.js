import { createInterface } from 'node:readline'
import { listen } from 'shmesh'

// It looks every 10 ms. No app pays for waking it up.
const path = process.env.SOCKET ?? '/tmp/shmesh-log.sock'
const listener = await listen({ path, wakeUp: '10ms' })
listener.on('stream', async (stream) => {
  try {
    for await (const line of createInterface({ input: stream })) console.log(line)
    stream.end()
  } catch (error) {
    console.error(error.message)
  }
})
console.log(`listening on ${listener.path}`)

process.once('SIGTERM', () => listener.close())
