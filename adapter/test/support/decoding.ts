import { StringDecoder } from 'node:string_decoder'

interface Decoder {
  utf8Slice(start?: number, end?: number): string
}

/** From here on: how large the memory was in which bytes lay that were decoded as UTF-8. */
export function watchDecoding(): number[] {
  const sizes: number[] = []
  const buffers = Buffer.prototype as Buffer & Decoder
  const { utf8Slice } = buffers
  buffers.utf8Slice = function (start, end) {
    sizes.push(this.buffer.byteLength)
    return utf8Slice.call(this, start, end)
  }
  const decoders = StringDecoder.prototype
  const { write } = decoders
  decoders.write = function (bytes) {
    if (typeof bytes !== 'string') sizes.push(bytes.buffer.byteLength)
    return write.call(this, bytes)
  }
  return sizes
}
