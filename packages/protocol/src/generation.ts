/**
 * Generations: why an offset never names two different bytes. A store that lost acknowledged bytes (`file-fast` and
 * a power cut, or a backup that was restored) goes on in the next generation; a stream notes where, at its first
 * append in it.
 */
import { formatOffset, type Offset, type OffsetParts } from './offset.ts'
import type { AppendedEvent, StreamEvent } from './stream-state.ts'

/** From this position on, a stream's bytes were written in this generation; below it, in earlier ones. */
export interface Cut {
  readonly generation: number
  readonly from: number
}

/** The cuts of a stream, oldest first, both members never decreasing. Empty: everything is of generation 0. */
export type Cuts = readonly Cut[]

/** What of a stream its offsets depend on. */
export interface Positioned {
  readonly cuts: Cuts
  readonly tail: number
}

/** The generation in the offset of a position: that of the byte before it. */
export function generationAt(cuts: Cuts, position: number): number {
  for (let i = cuts.length - 1; i >= 0; i--) {
    const cut = cuts[i]
    if (cut !== undefined && cut.from < position) return cut.generation
  }
  return 0
}

/** Mints the offset of a position; every position of a stream has exactly one. */
export function offsetAt(stream: Positioned, position: number): Offset {
  return formatOffset(position, generationAt(stream.cuts, position))
}

/** A stream's tail, and the generation of its offset. */
export interface Tail {
  readonly tail: number
  readonly generation: number
}

/** The tail as it is. */
export function tailOf({ tail, cuts }: Positioned): Tail {
  return { tail, generation: generationAt(cuts, tail) }
}

/** An append and what goes before it in its commit, and the tail after it. `current` is the store's generation. */
export function withCut(
  stream: Positioned,
  appended: AppendedEvent,
  current: number,
): { readonly events: readonly StreamEvent[]; readonly after: Tail } {
  const { unit } = appended
  if (unit === undefined) return { events: [appended], after: tailOf(stream) }
  const last = stream.cuts.at(-1)?.generation ?? 0
  const generation = Math.max(last, current)
  const events: StreamEvent[] = generation > last ? [{ kind: 'cut', generation }, appended] : [appended]
  return { events, after: { tail: stream.tail + unit.sizeBytes, generation } }
}

/**
 * Judges an offset that a client sent: `known` if the stream still has the bytes before it, `lost` if it had, in an
 * earlier generation than `current`, the store's, and `never` if it cannot have.
 */
export function judgeOffset(
  stream: Positioned,
  offset: OffsetParts,
  current: number,
): 'known' | 'lost' | 'never' {
  const { generation, position } = offset
  const actual = position > stream.tail ? current : generationAt(stream.cuts, position)
  if (generation < actual) return 'lost'
  return generation === actual && position <= stream.tail ? 'known' : 'never'
}

/** The greatest offset of the stream that is below one of a lost generation: where its reader can go on. */
export function lastKnown(stream: Positioned, lost: OffsetParts): Offset {
  const cut = stream.cuts.find(({ generation }) => generation > lost.generation)
  return offsetAt(stream, Math.min(cut?.from ?? stream.tail, lost.position))
}
