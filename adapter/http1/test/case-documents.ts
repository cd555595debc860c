import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Limits } from '../limits.ts'
import type { RequestInput, ResponseInput } from './transcript.ts'

export interface Case {
  readonly title: string
  readonly bytes: Buffer
  readonly input: RequestInput | ResponseInput
  /** The lines the transcript must have. Lines of fields are left out when the case has none. */
  readonly expected: string[]
  readonly fields: boolean
}

export interface CaseDocument {
  readonly name: string
  readonly cases: Case[]
}

/** The documents in `cases/`, of which `cases/README.md` says how they are written. */
export function readCaseDocuments(): CaseDocument[] {
  const folder = join(packageRoot(), 'adapter/http1/test/cases')
  const names = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md')
  return names.sort().map((name) => ({
    name: name.slice(0, -3),
    cases: parseDocument(readFileSync(join(folder, name), 'utf8'), name)
  }))
}

/** The documents are not compiled, so they lie in the source tree wherever this file runs from. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'adapter/http1/test/cases'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error('no folder above this file has the case documents')
    folder = parent
  }
  return folder
}

const CASE =
  /^## (.+)\n[\s\S]*?^```(request|response)([^\n]*)\n([\s\S]*?)^```\n+```expect\n([\s\S]*?)^```$/gm

function parseDocument(text: string, name: string): Case[] {
  const cases: Case[] = []
  for (const match of text.matchAll(CASE)) {
    const [, title, kind, info, block, expected] = match as unknown as string[]
    const lines = (expected as string).split('\n').slice(0, -1)
    cases.push({
      title: title as string,
      bytes: bytesOf(block as string),
      input: inputOf(kind as string, (info as string).trim()),
      expected: lines,
      fields: lines.some((line) => line.startsWith('  '))
    })
  }
  const headings = text.match(/^## /gm)?.length ?? 0
  if (cases.length !== headings) {
    throw new Error(`${name} has ${headings} headings but ${cases.length} complete cases`)
  }
  return cases
}

function inputOf(kind: string, info: string): RequestInput | ResponseInput {
  const limits: Record<string, number> = {}
  let to = ['GET']
  let upgrade: string | undefined
  for (const word of info.split(' ')) {
    const [key, value] = word.split('=') as [string, string | undefined]
    if (value === undefined) continue
    if (key === 'to') to = value === 'nothing' ? [] : value.split(',')
    else if (key === 'upgrade') upgrade = value
    else limits[key] = Number(value)
  }
  if (kind === 'request') return { kind: 'request', limits: limits as Limits }
  const base = { kind: 'response' as const, limits: limits as Limits, to }
  return upgrade === undefined ? base : { ...base, upgrade }
}

/** Each line ends with CRLF, but one that ends with a backslash, which ends with nothing. */
function bytesOf(block: string): Buffer {
  const text = block
    .split('\n')
    .slice(0, -1)
    .map((line) => (/(?<!\\)(?:\\\\)*\\$/.test(line) ? line.slice(0, -1) : `${line}\r\n`))
    .join('')
  return Buffer.from(text.replace(/\\(r|n|t|\\|x[0-9a-f]{2})/g, byteOf), 'latin1')
}

function byteOf(_: string, letter: string): string {
  if (letter === 'r') return '\r'
  if (letter === 'n') return '\n'
  if (letter === 't') return '\t'
  if (letter === '\\') return '\\'
  return String.fromCharCode(Number.parseInt(letter.slice(1), 16))
}
