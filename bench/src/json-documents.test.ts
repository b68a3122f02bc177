import { expect, it } from 'vitest'
import { findMismatch, randomDocument, seededRandom } from './json-documents.ts'

const DOCUMENTS = 40_000

it('R-217, R-220, R-224, R-225: takes what JSON.parse takes, with the same values and tokens', () => {
  const random = seededRandom(20_240_917)
  const mismatches: string[] = []
  let accepted = 0
  for (let i = 0; i < DOCUMENTS; i++) {
    const body = randomDocument(random)
    const verdict = findMismatch(body)
    if (verdict.accepted) accepted++
    if (verdict.mismatch !== undefined) {
      mismatches.push(`${verdict.mismatch}: ${Buffer.from(body).toString('base64')}`)
    }
  }
  expect(mismatches.slice(0, 5)).toEqual([])
  expect(accepted).toBeGreaterThan(DOCUMENTS * 0.4)
  expect(DOCUMENTS - accepted).toBeGreaterThan(DOCUMENTS * 0.3)
}, 60_000)
