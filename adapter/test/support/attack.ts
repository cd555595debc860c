import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { type Attack, answersIn, cuts } from './attacks.ts'

/** Connections of one attack that are open at the same time. */
const ABREAST = 16

/** Plays `attack`, cut in every way, each on a connection of its own from `open`. */
export async function play(attack: Attack, open: () => Duplex): Promise<void> {
  const waiting = [...cuts(attack.bytes)]
  const worker = async () => {
    for (let pieces = waiting.pop(); pieces !== undefined; pieces = waiting.pop()) {
      const received = await converse(open(), pieces)
      const shown = `cut behind ${JSON.stringify(pieces[0])}: ${JSON.stringify(received)}`
      assert.deepEqual(answersIn(received), attack.answers, shown)
    }
  }
  await Promise.all(Array.from({ length: ABREAST }, worker))
}

/** Sends `pieces` in turns of their own; resolves with all that came when the connection is over. */
function converse(connection: Duplex, pieces: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    let received = ''
    const rest = pieces.values()
    const send = () => {
      const { value, done } = rest.next()
      if (done === true || connection.destroyed) return
      connection.write(value, 'latin1')
      setImmediate(send)
    }
    connection.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    // It was refused, and what was still sent has met a closed connection.
    connection.on('error', () => {})
    connection.on('end', () => connection.end())
    connection.on('close', () => resolve(received))
    send()
  })
}
