/** A slice: what one step of a reader gets, as one consistent snapshot of bytes, tail and closure (2.12). */
import type { StreamState } from './stream-state.ts'

/** Stored bytes of positions `from` to `to`, in pieces that never change. Empty at the tail. */
export interface Slice {
  /** The durable state that the slice was cut from. */
  readonly state: StreamState
  readonly from: number
  readonly to: number
  readonly pieces: readonly Uint8Array[]
}

/** Whether the reader has everything there is at this moment. */
export function isUpToDate(slice: Slice): boolean {
  return slice.to === slice.state.tail
}

/** Whether the reader has everything there will ever be. */
export function isAtEnd(slice: Slice): boolean {
  return slice.state.closed && isUpToDate(slice)
}

/** The empty slice at the tail. */
export function tailSlice(state: StreamState): Slice {
  return { state, from: state.tail, to: state.tail, pieces: [] }
}
