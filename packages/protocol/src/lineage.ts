/**
 * Lineage: a fork shares its source's positions, and the bytes below its origin stay where they are. This file
 * turns a range of a stream into ranges of the streams that own the bytes, so that storage knows no forks.
 */
import type { StreamId, StreamState } from './stream-state.ts'

/** Bytes `from` (inclusive) to `to` (exclusive) that one stream owns. */
export interface OwnRange {
  readonly id: StreamId
  readonly from: number
  readonly to: number
}

/** Every range of a stream from 0 to its tail, ancestors first. */
export function lineage(state: StreamState): readonly OwnRange[] {
  const own: OwnRange = { id: state.id, from: state.fork?.ownFrom ?? 0, to: state.tail }
  return state.fork === undefined ? [own] : [...state.fork.inherited, own]
}

/** The own ranges that hold positions `from` to `to` of this stream, in order. */
export function ownRanges(state: StreamState, from: number, to: number): readonly OwnRange[] {
  if (state.fork === undefined || from >= state.fork.ownFrom) return [{ id: state.id, from, to }]
  return clip(lineage(state), from, to)
}

/** The part of some own ranges between two positions; empty ranges are dropped. */
export function clip(ranges: readonly OwnRange[], from: number, to: number): readonly OwnRange[] {
  const clipped: OwnRange[] = []
  for (const range of ranges) {
    const start = Math.max(range.from, from)
    const end = Math.min(range.to, to)
    if (start < end) clipped.push({ id: range.id, from: start, to: end })
  }
  return clipped
}

/** The own range that holds the byte at a position, or `undefined` at or past the tail. */
export function ownerOf(state: StreamState, position: number): OwnRange | undefined {
  return lineage(state).find((range) => range.from <= position && position < range.to)
}
