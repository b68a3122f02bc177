/** From stored bytes to the body of a catch-up or long-poll answer. Nothing is parsed and nothing is copied. */
import type { Slice } from './slice.ts'

const OPEN = Uint8Array.of(0x5b)
const CLOSE = Uint8Array.of(0x5d)
const EMPTY_ARRAY = Uint8Array.of(0x5b, 0x5d)
/** A stored JSON message ends with a comma and a line feed; the last one of a body loses both. */
const MESSAGE_END_BYTES = 2

/** The body in pieces: the stored bytes, or in JSON mode the array they make (11.3, R-226). */
export function readBody(slice: Slice): readonly Uint8Array[] {
  if (slice.state.format !== 'json') return slice.pieces
  if (slice.from === slice.to) return [EMPTY_ARRAY]
  return [OPEN, ...withoutEnd(slice.pieces, MESSAGE_END_BYTES), CLOSE]
}

/** Pieces without their last `count` bytes. */
export function withoutEnd(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  const kept = pieces.slice()
  let left = count
  while (left > 0) {
    const last = kept.pop()
    if (last === undefined) break
    if (last.length > left) kept.push(last.subarray(0, last.length - left))
    left -= Math.min(left, last.length)
  }
  return kept
}
