/**
 * Feeds llhttp's own test documents to the reader: `node scripts/llhttp-corpus.mjs DIR`, DIR being
 * `test/` of a checkout of nodejs/llhttp. What llhttp refuses the reader must refuse; what the
 * reader takes llhttp must take, with the same targets, fields and bodies. Being stricter is fine,
 * and listed.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fail, filesBelow, ROOT } from './tools.mjs'

const [directory] = process.argv.slice(2)
if (directory === undefined || !existsSync(directory)) {
  fail('give the test directory of a checkout of nodejs/llhttp: node scripts/llhttp-corpus.mjs DIR')
}
const { RequestReader } = await import(join(ROOT, 'dist/adapter/http1/request-reader.js'))
const { ResponseReader } = await import(join(ROOT, 'dist/adapter/http1/response-reader.js'))

const CASE =
  /^(#+ .+)$|<!--\s*meta=(\{.*?\})\s*-->\s*```(?:http|url)\n((?:(?!```)[\s\S])*)```[^`]*```log\n([\s\S]*?)```/gm

const tally = { 'both take': 0, 'both refuse': 0, stricter: 0, 'left out': 0 }
const stricter = []
const wrong = []

for (const path of filesBelow(directory).filter((name) => name.endsWith('.md'))) {
  let title = ''
  for (const [, heading, meta, input, log] of readFileSync(path, 'utf8').matchAll(CASE)) {
    if (heading !== undefined) title = heading.replace(/^#+ /, '')
    else judge(`${path.slice(directory.length)}: ${title}`, JSON.parse(meta), input, log)
  }
}

for (const [what, count] of Object.entries(tally)) console.log(`${what}: ${count}`)
for (const line of stricter) console.log(`stricter  ${line}`)
for (const line of wrong) console.log(`WRONG     ${line}`)
process.exit(wrong.length === 0 ? 0 : 1)

function judge(name, { type, pause, skipBody }, input, log) {
  // Lenient modes, pausing and skipped bodies are llhttp's interface, not HTTP; which methods there
  // are is for the application to say.
  const foreign = /error code=\d+ reason="(Invalid method|Expected space after method)/.test(log)
  if (!/^(request|response)$/.test(type ?? '') || pause || skipBody || foreign) {
    tally['left out']++
    return
  }
  const theirs = readLog(log)
  const ours = read(type.startsWith('request'), bytesOf(input), theirs.messages)
  if (theirs.error !== undefined && ours.error !== undefined) tally['both refuse']++
  else if (theirs.error !== undefined)
    wrong.push(`${name}: taken, though llhttp says ${theirs.error}`)
  else if (ours.error !== undefined) {
    tally.stricter++
    stricter.push(`${name}: ${ours.error}`)
  } else if (ours.told !== theirs.told) {
    wrong.push(
      `${name}: read as ${JSON.stringify(ours.told)}, by llhttp ${JSON.stringify(theirs.told)}`
    )
  } else tally['both take']++
}

/** As llhttp's own runner turns a block into bytes. */
function bytesOf(input) {
  const text = input
    .replace(/\n$/, '')
    .replace(/\\\n/g, '')
    .replace(/(\\r\\n|\\r|\\n)\n/g, '$1')
    .replace(/(?<!\r)\n/g, '\r\n')
    .replace(/\\(r|n|t|f)/g, (_, letter) => ({ r: '\r', n: '\n', t: '\t', f: '\f' })[letter])
    .replace(/\\x([0-9a-fA-F]{2})/g, (_, digits) =>
      String.fromCharCode(Number.parseInt(digits, 16))
    )
  return Buffer.from(text, 'latin1')
}

/** Targets and bodies of llhttp's messages, and its error. */
function readLog(log) {
  let told = ''
  let messages = 0
  let error
  for (const line of log.split('\n')) {
    const span = /span\[(url|body)\]="(.*)"$/.exec(line)
    if (span !== null) told += span[1] === 'url' ? ` ${span[2]} ` : span[2]
    if (/message begin/.test(line)) messages++
    error ??= /error code=(?!2[123])\d+ reason="(.*)"/.exec(line)?.[1]
  }
  return { told: plain(told), messages, error }
}

function read(isRequest, bytes, messages) {
  let told = ''
  let ended = false
  let keepAlive = true
  const handler = {
    onHead: (head) => {
      keepAlive = head.keepAlive
      if (isRequest) told += ` ${head.target} `
    },
    onBody: (chunk) => {
      told += chunk.toString('latin1')
    },
    onEnd: () => {
      ended = true
    }
  }
  // Most of llhttp's requests have no Host, which it leaves to others.
  const reader = isRequest
    ? new RequestReader(handler, { requireHost: false })
    : new ResponseReader(handler)
  const expect = () => (isRequest ? reader.reset() : reader.expect('GET', { upgrade: true }))
  expect()
  try {
    let at = 0
    while (at < bytes.length && messages > 0) {
      const next = reader.feed(bytes, at)
      if (next === at) break
      at = next
      if (!ended) continue
      ended = false
      messages--
      // Whoever uses the reader closes the connection here.
      if (!keepAlive && at < bytes.length) return { error: 'bytes behind Connection: close' }
      expect()
    }
  } catch (error) {
    if (error.code === undefined) throw error
    return { error: error.code }
  }
  return { told: plain(told) }
}

/** The log shows line ends and tabs in several ways: nothing depends on them here. */
function plain(text) {
  return text.replace(/\\[rntf]|\\|\s+/g, '')
}
