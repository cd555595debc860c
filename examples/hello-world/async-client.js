import { createInterface } from 'node:readline'
import { connect } from 'shmesh'

// Asynchronous: all questions at once, and an event for each answer.
const names = ['everybody', 'shared memory', 'you']
const session = await connect(process.env.SOCKET ?? '/tmp/shmesh-hello.sock')
const stream = session.openStream()
let answered = 0

createInterface({ input: stream }).on('line', async (answer) => {
  console.log(answer)
  if (++answered < names.length) return
  stream.destroySoon()
  await session.close()
})
for (const name of names) stream.write(`${name}\n`)
