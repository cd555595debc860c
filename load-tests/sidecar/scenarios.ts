/** Loads that are no single size: what a service does all day, streams, and readers who do not read. */

export const SCENARIOS = ['json', 'down', 'up', 'both', 'slow-reader'] as const
export type Scenario = (typeof SCENARIOS)[number]

export const SCENARIO_TITLES: Readonly<Record<Scenario, string>> = {
  json: 'JSON API: a list, one of it, a new one',
  down: 'streaming 64 MiB down',
  up: 'streaming 64 MiB up',
  both: 'streaming 64 MiB up and back',
  'slow-reader': 'GET 16 KiB beside 4 connections that do not read 4 MiB'
}

/** Requests at the same time. */
export const LANES: Readonly<Record<Scenario, number>> = {
  json: 16,
  down: 2,
  up: 2,
  both: 2,
  'slow-reader': 16
}

export const STREAM_BYTES: number = 64 * 1024 * 1024
export const CHUNK_BYTES: number = 64 * 1024
export const ORDERS = 20
export const NEW_ORDER: string = JSON.stringify({
  customer: 'c-81734',
  note: 'leave it at the door, please',
  lines: Array.from({ length: 12 }, (_, i) => ({ sku: `sku-${1000 + i}`, count: i + 1 }))
})
