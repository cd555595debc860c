/** Reads a configuration and says, with file, line and column, what is wrong with it. */
import { readFileSync } from 'node:fs'
import { geteuid } from 'node:process'
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import type { ConfigDocument } from './document.ts'
import { ConfigError, type ConfigProblem } from './problem.ts'
import { ConfigReader } from './reader.ts'
import { resolveDocument } from './resolve.ts'
import type { ProxyConfig } from './types.ts'
import { validateDocument } from './validate.ts'

/** @throws {ConfigError} when `file` cannot be read or used */
export function loadConfig(file: string): ProxyConfig {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    throw new ConfigError(
      [
        `${file}: cannot be read: ${why}; give a YAML or JSON file that uid ${geteuid?.()} may read`
      ],
      { cause: error }
    )
  }
  return parseConfig(text, file)
}

/**
 * @param text YAML, or JSON (which is YAML)
 * @param source what the text came from; begins each line of the error
 * @throws {ConfigError}
 */
export function parseConfig(text: string, source: string): ProxyConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map(({ code, message, pos }) => {
        const hint = code === 'BAD_ALIAS' ? `; ${QUOTE_STARS}` : ''
        return `${position(source, lines, pos[0])}: ${message}${hint}`
      })
    )
  }
  const aliases = findWrongAliases(document)
  if (aliases.length > 0) {
    throw new ConfigError(
      aliases.map(({ offset, message }) => `${position(source, lines, offset)}: ${message}`)
    )
  }
  return resolveConfig(toValue(document, source), (problem) =>
    position(source, lines, findOffset(document, problem))
  )
}

const QUOTE_STARS = 'a host with a star is written in quotes: "*" or "*.mesh"'

/** Those that name no anchor, and those that stand inside what they stand for. */
function findWrongAliases(document: Document): { offset: number; message: string }[] {
  const wrong: { offset: number; message: string }[] = []
  visit(document, {
    Alias(_, alias, ancestors) {
      const named = alias.resolve(document)
      const offset = alias.range?.[0] ?? 0
      if (named === undefined) {
        wrong.push({ offset, message: `no anchor &${alias.source} comes before; ${QUOTE_STARS}` })
      } else if (ancestors.includes(named)) {
        wrong.push({ offset, message: `*${alias.source} stands for what it is a part of` })
      }
    }
  })
  return wrong
}

function toValue(document: Document, source: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    // Aliases of aliases, which would take all memory there is.
    throw new ConfigError([`${source}: ${(error as Error).message}`], { cause: error })
  }
}

/**
 * @param value a configuration as an object, of unknown shape
 * @param locate what begins the line about a problem, such as `file:line:column`
 * @throws {ConfigError}
 */
export function resolveConfig(
  value: unknown,
  locate: (problem: ConfigProblem) => string
): ProxyConfig {
  const misshapen = validateDocument(value)
  if (misshapen.length > 0) throw toError(misshapen, locate)
  const reader = new ConfigReader()
  const config = resolveDocument(reader, value as ConfigDocument)
  if (reader.problems.length > 0) throw toError(reader.problems, locate)
  return config
}

function toError(
  problems: readonly ConfigProblem[],
  locate: (problem: ConfigProblem) => string
): ConfigError {
  return new ConfigError(problems.map((problem) => `${locate(problem)}: ${problem.message}`))
}

function position(source: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return line === 0 ? source : `${source}:${line}:${col}`
}

/** Offset of the problem's key or value; of the nearest enclosing node when it has none. */
function findOffset(document: Document, problem: ConfigProblem): number {
  for (let length = problem.path.length; length >= 0; length--) {
    const node =
      length === 0 ? document.contents : document.getIn(problem.path.slice(0, length), true)
    if (!isNode(node)) continue
    if (problem.key !== undefined && length === problem.path.length && isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === problem.key)
      if (isNode(pair?.key) && pair.key.range) return pair.key.range[0]
    }
    if (node.range) return node.range[0]
  }
  return 0
}
