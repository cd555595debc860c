import { createInterface } from 'node:readline'
import { listen } from 'shmesh'

// Asynchronous: an event for each line; answers go when they are ready, in any order.
const listener = await listen({ path: process.env.SOCKET ?? '/tmp/shmesh-hello.sock' })
listener.on('stream', (stream) => {
  let working = 0
  let ended = false
  const finish = () => {
    if (ended && working === 0) stream.end()
  }
  const lines = createInterface({ input: stream })
  lines.on('line', (name) => {
    working++
    // The shorter the name, the sooner it is greeted.
    setTimeout(() => {
      stream.write(`hello, ${name}\n`)
      working--
      finish()
    }, name.length)
  })
  lines.on('close', () => {
    ended = true
    finish()
  })
  lines.on('error', (error) => console.error(error.message))
})
console.log(`listening on ${listener.path}`)

process.once('SIGTERM', () => listener.close())
