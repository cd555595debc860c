/** A client that says it will send no more, in the turn of its last request. */
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { sessionFor, startApp } from './app.ts'
import { scene } from './support/scene.ts'

const requestFor = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

for (const compat of [false, true]) {
  test(`what waits for nothing is answered, the rest aborted${compat ? '; compat' : ''}`, async (t) => {
    const s = await scene(t)
    const { app } = await startApp(s, { plugin: { path: s.path, compat } })
    const session = await sessionFor(s)
    const answered = session.openStream().end(requestFor('/hello/a') + requestFor('/hello/b'))
    const answers = await text(answered)
    assert.deepEqual(answers.match(/"hello":"."/g), ['"hello":"a"', '"hello":"b"'])

    const waiting = session.openStream().end(requestFor('/wait'))
    assert.equal(await text(waiting), '')
    await app.call('aborted', 1)
    await app.call('release')
  })
}
