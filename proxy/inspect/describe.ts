import type { Inspection } from '../../adapter/shmipc/index.ts'
import { count, plain, span } from './columns.ts'
import { describeMemory } from './describe-memory.ts'
import { describeSession } from './describe-session.ts'

/** An inspection for people. */
export function describeInspection(inspection: Inspection): string {
  const { pid, command, uid, threads, unanswered, memory, takenAt } = inspection
  const blocks: string[][] = [
    [`process ${pid} (${plain(command)}), uid ${uid}, at ${plain(takenAt)}`]
  ]
  if (unanswered !== null) {
    blocks[0]!.push(
      `It was not heard: ${plain(unanswered)}.`,
      'Below is its memory, seen from outside: counts are near the truth while the other end runs.'
    )
  }
  let number = 0
  for (const { thread, node, uptimeMs, sessions } of threads) {
    const summary = `${plain(node)}, up ${span(uptimeMs)}, ${count(sessions.length, 'session')}`
    if (thread === 0) blocks[0]!.push(summary)
    else blocks.push([`worker thread ${thread}: ${summary}`])
    for (const session of sessions) blocks.push(describeSession(session, ++number))
  }
  for (const [i, view] of memory.entries()) blocks.push(describeMemory(view, i + 1))
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
}
