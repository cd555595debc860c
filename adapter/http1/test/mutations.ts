/** The same numbers for the same seed on every machine (xorshift, 32 bits). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % limit
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}

/** Bytes and texts that parsers have stumbled over. */
const TROUBLE = [
  ...['\r', '\n', '\r\n', '\r\n\r\n', '\0', '\t', ' ', '\x0b', '\x0c', '\x7f', '\x80', '\xff'],
  ...[':', ';', ',', '"', '\\', '#', '?', '/', '*', '@', '[', ']', '%', '=', '+', '-', '_', '.'],
  ...['0', '1', '9', 'a', 'A', 'f', 'G', '0x', '00', '%0d%0a', '\r\n ', '\r\n\t', ' :', ': '],
  ...['Content-Length: 3\r\n', 'Content-Length: 0\r\n', 'content-length:5\r\n', 'Host: b\r\n'],
  ...['Transfer-Encoding: chunked\r\n', 'transfer-encoding:chunked\r\n', 'Transfer-Encoding: \r\n'],
  ...['Connection: close\r\n', 'Connection: keep-alive\r\n', 'Connection: upgrade\r\n'],
  ...['Upgrade: x\r\n', 'Expect: 100-continue\r\n', 'X: y\r\n', ': z\r\n', 'HTTP/1.1', 'HTTP/1.0'],
  ...['chunked', ', chunked', 'identity', '0\r\n\r\n', '1\r\na\r\n', ';a=b', ';a="b"', 'http://b']
]

/** `text` with up to four changes, some of them pieces of `others`. */
export function mutate(random: Random, text: string, others: readonly string[]): string {
  let result = text
  for (let changes = random.below(5); changes > 0; changes--) {
    const at = random.below(result.length + 1)
    const to = Math.min(result.length, at + 1 + random.below(6))
    switch (random.below(7)) {
      case 0:
        result = result.slice(0, at) + result.slice(to)
        break
      case 1:
        result = result.slice(0, at) + result.slice(at, to) + result.slice(at)
        break
      case 2:
        result = result.slice(0, at) + String.fromCharCode(random.below(256)) + result.slice(at + 1)
        break
      case 3:
        result = swapLines(random, result)
        break
      case 4: {
        const other = random.pick(others)
        result = result.slice(0, at) + other.slice(random.below(other.length))
        break
      }
      case 5: {
        // At the beginning of a line, where the texts that are whole lines can hurt.
        const line = result.indexOf('\r\n', at)
        const start = line === -1 ? at : line + 2
        result = result.slice(0, start) + random.pick(TROUBLE) + result.slice(start)
        break
      }
      default:
        result = result.slice(0, at) + random.pick(TROUBLE) + result.slice(at + random.below(2))
    }
  }
  return result
}

function swapLines(random: Random, text: string): string {
  const lines = text.split('\r\n')
  const a = random.below(lines.length)
  const b = random.below(lines.length)
  const line = lines[a] as string
  lines[a] = lines[b] as string
  lines[b] = line
  return lines.join('\r\n')
}

/** `bytes` in pieces of random sizes. */
export function pieces(random: Random, bytes: Buffer): Buffer[] {
  const result: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + 1 + random.below(24))
    result.push(bytes.subarray(at, end))
    at = end
  }
  return result
}
