import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProcStat, parseProcStatus, parsePs, readUsage } from '../demo/cpu.ts'

test('adds user and system time, whatever the command is called', () => {
  const rest = 'S 1 42 42 0 -1 4194304 900 0 0 0 123 77 5 6 20 0 11 0 100 0 0'

  assert.equal(parseProcStat(`42 (node) ${rest}`), 2000)
  assert.equal(parseProcStat(`42 (a) b (c)) ${rest}`), 2000)
})

test('reads resident memory, and none of a process that is ending', () => {
  assert.equal(
    parseProcStatus('Name:\tnode\nVmRSS:\t   51200 kB\nThreads:\t11\n'),
    50 * 1024 * 1024
  )
  assert.equal(parseProcStatus('Name:\tnode\nState:\tZ (zombie)\n'), 0)
})

test('reads every form of time ps prints', () => {
  const times = {
    '0:01.23': 1230,
    '12:34.00': 754_000,
    '01:02:03': 3_723_000,
    '2-00:00:01': 172_801_000
  }

  for (const [time, cpuMs] of Object.entries(times)) {
    assert.deepEqual(parsePs(`  ${time}  2048\n`), { cpuMs, rssBytes: 2 * 1024 * 1024 })
  }
  assert.equal(parsePs(''), undefined)
})

test('sees the work of this process', { skip: process.platform === 'win32' }, () => {
  const before = readUsage(process.pid)!
  const until = process.cpuUsage().user + 100_000
  while (process.cpuUsage().user < until);
  const after = readUsage(process.pid)!

  assert.ok(after.cpuMs - before.cpuMs >= 80, `${before.cpuMs} -> ${after.cpuMs} ms`)
  assert.ok(after.rssBytes > 1024 * 1024)
})
