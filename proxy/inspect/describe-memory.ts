import type { MemoryView } from '../../adapter/shmipc/index.ts'
import { columns, count, plain, size } from './columns.ts'

const MAX_HOLDERS = 40
const ENDS = ['client to server', 'server to client']

/** A session as its memory looks from outside, as lines. */
export function describeMemory(view: MemoryView, number: number): string[] {
  const { name, client, mappedBytes, residentBytes, budget } = view
  const limit = budget === null ? '' : `; either end may use ${size(budget)}`
  return [
    `memory ${number}  ${plain(name)}  made by a ${plain(client)} client`,
    `  memory    ${size(residentBytes)} resident of ${size(mappedBytes)}${limit}`,
    ...view.rings.map((ring, i) => {
      const events = Object.entries(ring.events).map(([kind, number]) => `${kind} ${number}`)
      const kinds = events.length === 0 ? '' : ` (${events.join(', ')})`
      const reader = ring.consumerAwake ? 'awake' : 'asleep'
      return `  ring      ${ENDS[i]}: ${ring.backlog} of ${ring.capacity} wait${kinds}; its reader is ${reader}`
    }),
    ...columns(
      ['  list', 'payload', 'slices', 'unused', 'free', 'pooled', 'queued', 'sent'],
      view.lists.map((list, i) => [
        `  ${i}`,
        list.payload,
        list.capacity,
        list.unused,
        list.free,
        list.pooled,
        list.queued,
        list.sent
      ])
    ),
    ...describeHolders(view),
    ...view.problems.map((problem) => `  WRONG     ${plain(problem)}`)
  ]
}

function describeHolders({ holders, lists }: MemoryView): string[] {
  const shown = [...holders].sort((a, b) => b.bytes - a.bytes).slice(0, MAX_HOLDERS)
  if (shown.length === 0) return []
  const rows = shown.map(({ stream, state, list, slices, bytes }) => [
    stream === 0 ? '  not known' : `  ${stream}`,
    state,
    `${list} (${size(lists[list]?.payload ?? 0)})`,
    slices,
    size(bytes)
  ])
  const more = holders.length - shown.length
  return [
    ...columns(['  stream', 'slices are', 'list', 'slices', 'bytes'], rows),
    ...(more > 0 ? [`  and ${count(more, 'holder')} more (--json has all)`] : [])
  ]
}
