import { randomUUID } from 'node:crypto'

/** What FormData of any implementation has. */
export interface FormDataLike {
  entries(): Iterable<[name: string, value: string | Blob]>
}

export interface Multipart {
  /** With its boundary. */
  readonly contentType: string
  /** In bytes; undefined when a file does not say how long it is. */
  readonly length: number | undefined
  chunks(): AsyncGenerator<Uint8Array>
}

/** FormData as `multipart/form-data` (RFC 7578), encoded as the HTML and Fetch standards say. */
export function encodeFormData(form: FormDataLike): Multipart {
  const boundary = `----shmesh${randomUUID().replaceAll('-', '')}`
  const parts: (Uint8Array | Blob)[] = []
  for (const [name, value] of form.entries()) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(lines(name))}"`
    if (typeof value === 'string') {
      parts.push(Buffer.from(`${head}\r\n\r\n${lines(value)}\r\n`))
    } else {
      const { name: file = 'blob', type } = value as Blob & { name?: string }
      head += `; filename="${quoted(file)}"\r\n`
      head += `Content-Type: ${type === '' ? 'application/octet-stream' : type}\r\n\r\n`
      parts.push(Buffer.from(head), value, CRLF)
    }
  }
  parts.push(Buffer.from(`--${boundary}--\r\n`))
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: lengthOf(parts),
    async *chunks() {
      for (const part of parts) {
        if (part instanceof Uint8Array) yield part
        else yield* part.stream() as unknown as AsyncIterable<Uint8Array>
      }
    }
  }
}

/** @returns undefined for one that is only like a Blob, and may be a stream in disguise */
export function sizeOf({ size }: Blob): number | undefined {
  return typeof size === 'number' ? size : undefined
}

function lengthOf(parts: readonly (Uint8Array | Blob)[]): number | undefined {
  let length = 0
  for (const part of parts) {
    const size = part instanceof Uint8Array ? part.byteLength : sizeOf(part)
    if (size === undefined) return undefined
    length += size
  }
  return length
}

const CRLF = Buffer.from('\r\n')

function quoted(name: string): string {
  return name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22')
}

/** Line ends of text become CRLF. */
function lines(text: string): string {
  return text.replace(/\r\n|\r|\n/g, '\r\n')
}
