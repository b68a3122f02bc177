/**
 * The long differential fuzz of the JSON scanner against `JSON.parse`; stops at the first mismatch.
 *
 *   node bench/dist/json-fuzz.js [--documents 1000000] [--seed 1]
 */
import { parseArgs } from 'node:util'
import { findMismatch, randomDocument, seededRandom } from './json-documents.ts'

const PROGRESS_DOCUMENTS = 100_000

function fuzz(documents: number, seed: number): boolean {
  const random = seededRandom(seed)
  const startedAt = performance.now()
  const rate = (done: number): number => Math.round((done / (performance.now() - startedAt)) * 1000)
  let accepted = 0
  let bytes = 0
  for (let done = 1; done <= documents; done++) {
    const body = randomDocument(random)
    const verdict = findMismatch(body)
    if (verdict.mismatch !== undefined) {
      console.error(`document ${done} of seed ${seed}: ${verdict.mismatch}`)
      console.error(Buffer.from(body).toString('base64'))
      return false
    }
    if (verdict.accepted) accepted++
    bytes += body.length
    if (done % PROGRESS_DOCUMENTS === 0) console.log(`${done} documents, ${rate(done)} a second`)
  }
  console.log(
    `seed ${seed}: ${documents} documents, ${bytes} bytes, ` +
      `${accepted} accepted, ${documents - accepted} rejected, 0 mismatches`,
  )
  return true
}

const { values } = parseArgs({
  options: {
    documents: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
  },
})
process.exitCode = fuzz(Number(values.documents), Number(values.seed)) ? 0 : 1
