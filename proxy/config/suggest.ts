import { closest, distance } from 'fastest-levenshtein'

/** The candidate `word` was most likely meant to be; `undefined` when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined
  const lower = word.toLowerCase()
  const best = closest(lower, candidates as string[])
  return distance(lower, best.toLowerCase()) <= Math.max(2, best.length / 3) ? best : undefined
}

/** `; did you mean "x"?` when there is a near candidate, and what is valid otherwise. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const best = nearest(word, candidates)
  if (best !== undefined) return `; did you mean "${best}"?`
  return candidates.length === 0 ? '' : `; valid: ${candidates.join(', ')}`
}
