/** Which blocks are read together: many small ones near each other cost one read instead of one each. Pure. */
import type { BlockPlace } from './state-codec.ts'

/** Bytes between two blocks that are rather read than skipped: a read costs as much as copying this. */
const MOST_GAP_BYTES = 16 * 1024
/** Bytes read together at most, unless one block alone is larger; decoding them must not hold the process up. */
const MOST_SPAN_BYTES = 128 * 1024

/** Some blocks of one file, and the bytes from the first to the last. */
export interface BlockSpan<T> {
  readonly file: number
  readonly from: number
  readonly to: number
  readonly wanted: readonly T[]
}

/** All of them, in the order in which they lie on the disk. */
export function spansOf<T>(wanted: readonly T[], placeOf: (one: T) => BlockPlace): readonly BlockSpan<T>[] {
  const sorted = wanted
    .map((one) => ({ one, place: placeOf(one) }))
    .sort((a, b) => a.place.file - b.place.file || a.place.at - b.place.at)
  const spans: { file: number; from: number; to: number; wanted: T[] }[] = []
  for (const { one, place } of sorted) {
    const { file, at, sizeBytes } = place
    const open = spans.at(-1)
    const isNear = open?.file === file && at - open.to <= MOST_GAP_BYTES
    if (open !== undefined && isNear && at + sizeBytes - open.from <= MOST_SPAN_BYTES) {
      open.wanted.push(one)
      open.to = Math.max(open.to, at + sizeBytes)
    } else {
      spans.push({ file, from: at, to: at + sizeBytes, wanted: [one] })
    }
  }
  return spans
}
