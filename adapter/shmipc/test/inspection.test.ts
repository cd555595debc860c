import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { describe, it } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { askListener, type SessionReport, type ThreadReport } from '../index.ts'
import { command, openSession, readAll } from './peer.ts'

/** What the process at the other end says of itself. */
async function ask(path: string): Promise<ThreadReport> {
  const { report, problem } = await askListener(path)
  assert.equal(problem, undefined)
  return report as ThreadReport
}

async function peersSession(scene: Scene): Promise<SessionReport> {
  const { sessions } = await ask(scene.path)
  assert.equal(sessions.length, 1)
  return sessions[0]!
}

describe('a process that is asked what it holds', () => {
  it('tells who it is and what each session is', async (t) => {
    const s = await scene(t)
    const { peer } = await openSession(s)
    const report = await ask(s.path)
    assert.equal(report.format, 1)
    assert.equal(report.pid, peer.pid)
    assert.equal(report.thread, 0)
    assert.equal(report.node, process.version)
    assert.equal(report.sessions.length, 1)
    const [session] = report.sessions
    assert.equal(session!.role, 'server')
    assert.equal(session!.path, s.path)
    assert.equal(session!.peer, 'shmesh')
    assert.equal(session!.peerPid, process.pid)
    assert.ok(session!.ageMs >= 0)
    assert.equal(session!.queueCapacity, 8192)
    assert.ok(session!.residentBytes! > 0)
    assert.ok(session!.residentBytes! < session!.mappedBytes!)
  })

  it('tells the kernel who is at the other end of a client as well', async (t) => {
    const s = await scene(t)
    const { peer, session } = await openSession(s)
    assert.equal(session.report().peerPid, peer.pid)
  })

  it('tells what waits, in which stream, and in which slices', async (t) => {
    const s = await scene(t)
    const { session } = await openSession(s)
    const stream = command(session, 'ignore')
    const idle = command(session, 'echo')
    // More than the peer's window: it stops where the peer's credit does.
    const body = pattern(3 * 1024 * 1024)
    stream.write(body)
    await eventually('the stream has no credit', () => {
      const mine = session.report().perStream.find(({ id }) => id === stream.id)
      return (mine?.credit ?? 1) <= 0
    })
    const mine = session.report().perStream
    assert.deepEqual(
      mine.map(({ id }) => id),
      [stream.id, idle.id]
    )
    assert.ok(mine[0]!.waitingToWrite > 0)
    assert.ok(mine[0]!.unacknowledged >= 1024 * 1024)
    assert.equal(mine[1]!.waitingToWrite, 0)
    assert.equal(mine[0]!.transport, 'shm')

    await eventually('all that was sent has arrived', async () => {
      const theirs = (await peersSession(s)).perStream.find(({ id }) => id === stream.id)
      const sent = session.report().perStream[0]!.bytesWritten
      return theirs !== undefined && theirs.bytesRead === sent && theirs.waitingToRead > 0
    })
    const theirs = await peersSession(s)
    const busy = theirs.perStream.find(({ id }) => id === stream.id)!
    assert.ok(busy.slicesReceived > 0)
    assert.equal(busy.state, 'open')
    assert.ok(theirs.keptBytes <= busy.waitingToRead)
    assert.equal(session.report().perStream[0]!.slicesSent, busy.slicesHeld)
    const borrowed = theirs.lists!.reduce((sum, list) => sum + list.borrowed, 0)
    assert.equal(
      theirs.perStream.reduce((sum, each) => sum + each.slicesHeld, 0),
      borrowed
    )
    stream.destroy()
    idle.destroy()
  })

  it('tells which directions have ended', async (t) => {
    const s = await scene(t)
    const { session } = await openSession(s)
    const stream = command(session, 'echo')
    const answer = readAll(stream)
    const states = () => session.report().perStream.map(({ state }) => state)
    assert.deepEqual(states(), ['open'])
    stream.end('bye')
    assert.deepEqual(states(), ['ended by us'])
    assert.equal((await answer).toString(), 'bye')
  })

  it('answers when several ask at once, and one who never reads harms nobody', async (t) => {
    const s = await scene(t)
    await openSession(s)
    const deaf = connectSocket(s.path)
    await once(deaf, 'connect')
    deaf.pause().write('inspect\n')
    const reports = await Promise.all(Array.from({ length: 8 }, () => ask(s.path)))
    assert.equal(reports.length, 8)
    deaf.destroy()
  })

  it('forgets a session when its memory is gone', async (t) => {
    const s = await scene(t)
    const { session } = await openSession(s)
    session.destroy()
    await eventually('the session is gone', async () => {
      return (await ask(s.path)).sessions.length === 0
    })
  })
})

describe('askListener', () => {
  it('says so when nobody listens', async (t) => {
    const s = await scene(t)
    await assert.rejects(askListener(s.path), { code: 'ENOENT' })
  })

  it('says so when the process does not answer', async (t) => {
    const s = await scene(t)
    const { peer } = await openSession(s)
    peer.signal('SIGSTOP')
    s.defer(() => peer.signal('SIGCONT'))
    const { pid, problem } = await askListener(s.path)
    assert.equal(pid, peer.pid)
    assert.match(problem!, /did not answer within 1 s/)
  })
})
