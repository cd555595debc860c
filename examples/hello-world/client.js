import { createInterface } from 'node:readline'
import { connect } from 'shmesh'

// Synchronous: one question, its answer, the next question.
const session = await connect(process.env.SOCKET ?? '/tmp/shmesh-hello.sock')
const stream = session.openStream()
const answers = createInterface({ input: stream })[Symbol.asyncIterator]()

for (const name of ['memory', 'world']) {
  stream.write(`${name}\n`)
  const { value } = await answers.next()
  console.log(value)
}
stream.destroySoon()
await session.close()
