import { expect, it } from 'vitest'
import { spansOf } from './block-spans.ts'
import type { BlockPlace } from './state-codec.ts'

function place(file: number, at: number, sizeBytes = 100): BlockPlace {
  return { file, at, sizeBytes, from: 0, to: 1 }
}

const itself = (one: BlockPlace): BlockPlace => one

it('reads what is near each other together, in the order of the disk', () => {
  const [a, b, c] = [place(1, 64), place(1, 164), place(1, 5000)]
  expect(spansOf([c, a, b], itself)).toEqual([{ file: 1, from: 64, to: 5100, wanted: [a, b, c] }])
})

it('never joins blocks of two files, nor what is far apart', () => {
  const [a, b, c] = [place(1, 64), place(2, 164), place(2, 1_000_000)]
  expect(spansOf([b, c, a], itself).map(({ wanted }) => wanted)).toEqual([[a], [b], [c]])
})

it('keeps a span within its bound, but for one block that is larger', () => {
  const many = Array.from({ length: 5000 }, (_, index) => place(1, 64 + index * 100))
  const large = place(1, 64 + 500_000, 300_000)
  const spans = spansOf([...many, large], itself)
  expect(spans.flatMap(({ wanted }) => wanted)).toEqual([...many, large])
  expect(Math.max(...spans.slice(0, -1).map(({ from, to }) => to - from))).toBeLessThanOrEqual(128 * 1024)
  expect(spans.at(-1)).toEqual({ file: 1, from: large.at, to: large.at + 300_000, wanted: [large] })
})

it('has no span for nothing', () => {
  expect(spansOf([], itself)).toEqual([])
})
