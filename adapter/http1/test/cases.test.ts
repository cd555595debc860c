import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readCaseDocuments } from './case-documents.ts'
import { transcribe } from './transcript.ts'

for (const document of readCaseDocuments()) {
  describe(document.name, () => {
    for (const { title, bytes, input, expected, fields } of document.cases) {
      it(title, () => {
        const check = (pieces: Buffer[], how: string): void => {
          const lines = transcribe(pieces, input)
          const seen = fields ? lines : lines.filter((line) => !line.startsWith('  '))
          assert.deepEqual(seen, expected, how)
        }
        check([bytes], 'in one piece')
        check(
          Array.from(bytes, (byte) => Buffer.from([byte])),
          'byte by byte'
        )
        for (let at = 1; at < bytes.length; at++) {
          check([bytes.subarray(0, at), bytes.subarray(at)], `split at byte ${at}`)
        }
      })
    }
  })
}
