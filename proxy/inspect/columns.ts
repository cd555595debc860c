/** Text for terminals. Strings may come from other processes: nothing in them moves the cursor. */

export function plain(text: string): string {
  return text.replace(/\p{C}/gu, '?')
}

/** Rows under their heads, numbers to the right. The last column is not filled up. */
export function columns(heads: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const table = [heads, ...rows].map((row) => row.map(text))
  const widths = heads.map((_, i) => Math.max(...table.map((row) => row[i]!.length)))
  return table.map((row) =>
    row
      .map((cell, i) => {
        const right = rows.length > 0 && rows.every((each) => typeof each[i] !== 'string')
        return right ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
      })
      .join('  ')
      .trimEnd()
  )
}

/** `undefined`: not known, or none. */
export type Cell = string | number | undefined

function text(cell: Cell): string {
  if (cell === undefined) return '-'
  return typeof cell === 'number' ? String(cell) : plain(cell)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** `1536` as `1.5 KiB`. */
export function size(bytes: number): string {
  let amount = bytes
  let unit = 0
  while (Math.abs(amount) >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  const digits = Number.isInteger(amount) || amount >= 100 ? 0 : 1
  return `${amount.toFixed(digits)} ${UNITS[unit]}`
}

/** `83000` ms as `1 min 23 s`. */
export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
