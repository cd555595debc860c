import { createInterface } from 'node:readline'
import { listen } from 'shmesh'

// Synchronous: each line of a stream is answered before the next is looked at.
const listener = await listen({ path: process.env.SOCKET ?? '/tmp/shmesh-hello.sock' })
listener.on('stream', async (stream) => {
  try {
    for await (const name of createInterface({ input: stream })) stream.write(`hello, ${name}\n`)
    stream.end()
  } catch (error) {
    console.error(error.message)
  }
})
console.log(`listening on ${listener.path}`)

process.once('SIGTERM', () => listener.close())
