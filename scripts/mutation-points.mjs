/**
 * The atomic accesses of the core whose order or indivisibility something depends on, read from the
 * sources, and how each can be weakened.
 */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { filesBelow, ROOT } from './tools.mjs'

export const CORE = join(ROOT, 'native/src/core')

/** What an access of `core/atomics.h` may be replaced with. Split ones are in native/explore/split.h. */
const WEAKER = {
  LoadAcquire: ['LoadRelaxed'],
  LoadSequential: ['LoadAcquire'],
  StoreRelease: ['StoreRelaxed'],
  Exchange: ['ExchangeRelaxed', 'ExchangeSplit'],
  ExchangeRelaxed: ['ExchangeSplit'],
  CompareExchange: ['CompareExchangeRelease', 'CompareExchangeAcquire', 'CompareExchangeSplit'],
  CompareExchangeRelease: ['CompareExchangeRelaxed', 'CompareExchangeSplit'],
  AddFetchRelaxed: ['AddFetchSplit']
}
/** Nothing weaker exists. */
const WEAKEST = ['LoadRelaxed', 'StoreRelaxed']
const ACCESS = /\b(\w+)<(?:std::u?int\d+_t|T)>\(/g

/** Fails when atomics.h has a function this file does not know. */
function checkFunctions() {
  const header = readFileSync(join(CORE, 'atomics.h'), 'utf8')
  const known = [...Object.keys(WEAKER), ...WEAKEST]
  for (const [, name] of header.matchAll(/inline \w+ (\w+)\(/g)) {
    if (!known.includes(name)) throw new Error(`scripts/mutation-points.mjs does not know ${name}`)
  }
}

/** The function around `at`: the last definition that starts before it. */
function functionAround(text, at) {
  const definitions = text.slice(0, at).matchAll(/^(?=\w)[\w:<>,*& ]*?\b(\w+::\w+)\(/gm)
  return [...definitions].at(-1)?.[1] ?? 'at file scope'
}

function pointsOf(path) {
  const text = readFileSync(path, 'utf8')
  const seen = new Map()
  return [...text.matchAll(ACCESS)].flatMap((match) => {
    const replacements = WEAKER[match[1]]
    if (replacements === undefined) return []
    const word = /\bk(?:Ring|List|Slice|Region)\w+/.exec(text.slice(match.index))?.[0]
    const place = `${functionAround(text, match.index)} ${word} ${match[1]}`
    const count = (seen.get(place) ?? 0) + 1
    seen.set(place, count)
    const name = count === 1 ? place : `${place} (${count})`
    const line = text.slice(0, match.index).split('\n').length
    const at = { file: basename(path), line, name }
    return replacements.map((weaker) => ({ ...at, weaker, text: mutate(text, match, weaker) }))
  })
}

function mutate(text, match, weaker) {
  const after = match.index + match[1].length
  return `#include "split.h"\n${text.slice(0, match.index)}${weaker}${text.slice(after)}`
}

/** Every mutant: file, line, name of the access, the weaker function, and the source with it. */
export function mutants() {
  checkFunctions()
  return filesBelow(CORE)
    .filter((path) => /\.(cc|h)$/.test(path) && basename(path) !== 'atomics.h')
    .sort()
    .flatMap(pointsOf)
}
