import type { LeakSuspect, SessionReport, StreamReport } from '../../adapter/shmipc/index.ts'
import { columns, count, plain, size, span } from './columns.ts'

/** Streams that are shown; `--json` has all. */
const MAX_STREAMS = 40

const LIST_HEADS = [
  '  list',
  'payload',
  'allocates',
  'slices',
  'touched',
  'free',
  'held',
  'sent',
  'borrowed'
]

type ListReport = NonNullable<SessionReport['lists']>[number]

/** One session as its process told it, as lines. */
export function describeSession(session: SessionReport, number: number): string[] {
  const { role, path, peer, peerPid, ageMs, closed } = session
  const who = peerPid === 0 ? peer : `${peer}, process ${peerPid}`
  const state = closed ? 'over, and its memory still read by somebody' : `for ${span(ageMs)}`
  return [
    `session ${number}  ${plain(role)} of ${plain(path)}  with ${plain(who)}  ${state}`,
    ...describeLive(session),
    `  socket    ${count(session.fallbackMessages, 'message')}, ${size(session.fallbackBytes)}, went by it; ` +
      `slices were short ${count(session.fallbacks.noSlices, 'time')}, the ring full ${count(session.fallbacks.ringFull, 'time')}`,
    `  reading   ${count(session.leases, 'view')} with consumers, ${size(session.keptBytes)} waiting in shared memory`,
    ...describeStreams(session.perStream),
    ...session.suspects.flatMap(describeSuspect)
  ]
}

function describeLive(session: SessionReport): string[] {
  const { lists } = session
  if (lists === undefined) return []
  const live = session as Required<SessionReport>
  return [
    `  memory    ${size(live.residentBytes)} resident of ${size(live.mappedBytes)} mapped; of a budget of ` +
      `${size(live.budget)} we use ${size(live.bytesInUse)}; ${size(live.bytesBorrowed)} of the peer's are with us`,
    `  rings     ${live.sendBacklog} of ${live.queueCapacity} to the peer, who is ${awake(live.peerAwake)}; ` +
      `${live.receiveBacklog} to us, ${awake(live.awake)}`,
    `  wake-ups  ${live.wakesSent} sent for ${count(live.eventsSent, 'event')}, ${live.wakesReceived} received for ${live.eventsReceived}${spins(live)}`,
    ...columns(
      [...LIST_HEADS, 'oldest'],
      lists.map((list, i) => {
        const ours = list.role === 'ours'
        return [
          `  ${i}`,
          list.payload,
          list.role === 'ours' ? 'this end' : list.role === 'peers' ? 'the peer' : 'both',
          list.capacity,
          ours ? list.touched : undefined,
          ours ? list.capacity - list.held - list.lent : undefined,
          list.held,
          ours ? list.lent : undefined,
          ours ? undefined : list.borrowed,
          oldest(list)
        ]
      })
    )
  ]
}

/** The slice that is longest where it is now, and whose it is. */
function oldest(list: ListReport): string | undefined {
  const longest = [
    [list.oldestHeldMs, list.oldestHeldStream, 'held'] as const,
    [list.oldestLentMs, list.oldestLentStream, 'sent'] as const,
    [list.oldestBorrowedMs, list.oldestBorrowedStream, 'borrowed'] as const
  ].sort(([a], [b]) => (b ?? -1) - (a ?? -1))[0]!
  const [ageMs, stream, how] = longest
  if (ageMs === undefined) return undefined
  return `${how} for ${span(ageMs)}${stream ? ` by stream ${stream}` : ''}`
}

const WHO: Readonly<Record<string, string>> = {
  lease: 'a consumer reads them, or forgot to release them',
  buffer: 'in a Buffer of alloc() that was not written',
  lent: 'with the peer, and the stream is gone here'
}

function describeSuspect({ kind, streamId, bytes, ageMs, stack }: LeakSuspect): string[] {
  const whose = streamId === 0 ? '' : `, stream ${streamId}`
  const lines = stack === undefined ? [] : stack.split('\n').slice(1)
  return [
    `  LEAK?     ${size(bytes)} for ${span(ageMs)}${whose}: ${WHO[kind] ?? plain(kind)}`,
    ...lines.map((line) => `            ${plain(line.trim())}`)
  ]
}

function describeStreams(streams: readonly StreamReport[]): string[] {
  if (streams.length === 0) return ['  no streams']
  const shown = [...streams].sort((a, b) => weight(b) - weight(a)).slice(0, MAX_STREAMS)
  const rows = shown.map((stream) => [
    `  ${stream.id}`,
    stream.state,
    stream.transport,
    size(stream.bytesRead),
    size(stream.bytesWritten),
    size(stream.waitingToRead),
    size(stream.waitingToWrite),
    stream.credit === null ? undefined : size(stream.credit),
    size(stream.unacknowledged),
    stream.slicesHeld,
    stream.slicesSent
  ])
  const heads = ['  stream', 'state', 'sends by', 'read', 'written', 'to read', 'to write']
  const more = streams.length - shown.length
  return [
    ...columns([...heads, 'credit', 'unacknowledged', 'slices held', 'sent'], rows),
    ...(more > 0 ? [`  and ${count(more, 'stream')} more, with less waiting (--json has all)`] : [])
  ]
}

/** What makes a stream worth a look. */
function weight(stream: StreamReport): number {
  return stream.waitingToRead + stream.waitingToWrite + stream.slicesHeld + stream.slicesSent
}

/** What polling before sleep was good for; '' where nobody polls. */
function spins({ spinHits, spinMisses }: Required<SessionReport>): string {
  const all = spinHits + spinMisses
  return all === 0 ? '' : `; ${spinHits} of ${count(all, 'poll')} before sleep found something`
}

function awake(yes: boolean): string {
  return yes ? 'awake' : 'asleep'
}
