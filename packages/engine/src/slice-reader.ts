/** Cuts slices out of a stream: resolves forks, ends at message boundaries, and never reads more than it returns. */
import {
  bytesToMessageEnd,
  incompleteBytes,
  type OwnRange,
  ownerOf,
  ownRanges,
  type Rejection,
  type Slice,
  type StreamState,
  withoutEnd,
} from '@millrace/protocol'
import { type Eventual, whenReady } from './eventual.ts'
import { Fault } from './fault.ts'
import type { StreamStorage } from './storage.ts'

/** A slice, or why the position cannot be read from. */
export type SliceResult =
  | { readonly kind: 'slice'; readonly slice: Slice }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }

const LF = 0x0a
/** How far a read looks at a time for the end of a message that is longer than a chunk. */
const MESSAGE_STEP_BYTES = 256 * 1024
const BETWEEN_BOUNDARIES: SliceResult = {
  kind: 'rejected',
  rejection: {
    kind: 'invalid-offset',
    detail: 'The offset points into a message: use a value of a Stream-Next-Offset header.',
  },
}

/**
 * Reads at most `from` to `to`; a cut before the tail moves back to a message end, or on to the first one. What lies
 * before damaged bytes is served; at them the read fails with a fault that names the stream and the bytes.
 */
export function readSlice(
  storage: StreamStorage,
  state: StreamState,
  from: number,
  to: number,
): Eventual<SliceResult> {
  // One byte more tells whether a client's offset is a message boundary: the byte before it must be a line feed.
  const checks = state.format === 'json' && from > 0
  const slice = cutSlice(storage, state, from, to, checks)
  if (!(slice instanceof Promise)) return slice
  return slice.catch((error) => readBesideDamage(storage, state, from, to, error))
}

async function readBesideDamage(
  storage: StreamStorage,
  state: StreamState,
  from: number,
  to: number,
  error: unknown,
): Promise<SliceResult> {
  if (!(error instanceof Fault) || error.code !== 'corrupt') throw error
  try {
    const { damaged } = error
    if (damaged === undefined) throw error
    const checks = state.format === 'json' && from > 0
    if (damaged.from > from) return await cutSlice(storage, state, from, damaged.from, checks)
    if (damaged.to > from || !(await isUnitStart(storage, state, from))) throw error
    // Only the byte that would have shown the boundary is damaged; the start of an append is one.
    return await cutSlice(storage, state, from, to, false)
  } catch (last) {
    if (!(last instanceof Fault) || last.code !== 'corrupt') throw last
    throw new Fault('corrupt', `Stream ${state.path}: ${last.message}`, last, last.damaged)
  }
}

async function isUnitStart(storage: StreamStorage, state: StreamState, position: number): Promise<boolean> {
  const owner = ownerOf(state, position)
  return owner !== undefined && (await storage.unitAt(owner.id, position)).from === position
}

function cutSlice(
  storage: StreamStorage,
  state: StreamState,
  from: number,
  to: number,
  checks: boolean,
): Eventual<SliceResult> {
  return whenReady(readRange(storage, state, checks ? from - 1 : from, to), (read) => {
    if (checks && read[0]?.[0] !== LF) return BETWEEN_BOUNDARIES
    const pieces = checks ? withoutStart(read) : read
    if (to === state.tail) return sliceOf(state, from, to, pieces)
    const incomplete = incompleteBytes(pieces, state.format)
    if (incomplete < to - from) return sliceOf(state, from, to - incomplete, withoutEnd(pieces, incomplete))
    return whenReady(readMessageEnd(storage, state, to), (rest) =>
      sliceOf(state, from, to + sizeOf(rest), [...pieces, ...rest]),
    )
  })
}

/** Positions `from` to `to` of a stream, from its own bytes and its ancestors'. */
export function readRange(
  storage: StreamStorage,
  state: StreamState,
  from: number,
  to: number,
): Eventual<readonly Uint8Array[]> {
  const ranges = ownRanges(state, from, to)
  const [only] = ranges
  if (only !== undefined && ranges.length === 1) return storage.read(only)
  return readAll(storage, ranges)
}

async function readAll(storage: StreamStorage, ranges: readonly OwnRange[]): Promise<readonly Uint8Array[]> {
  const parts: Uint8Array[] = []
  for (const range of ranges) parts.push(...(await storage.read(range)))
  return parts
}

/** The rest of a message that is longer than a chunk. */
async function readMessageEnd(
  storage: StreamStorage,
  state: StreamState,
  from: number,
): Promise<readonly Uint8Array[]> {
  const rest: Uint8Array[] = []
  for (let at = from; at < state.tail; at += MESSAGE_STEP_BYTES) {
    const pieces = await readRange(storage, state, at, Math.min(state.tail, at + MESSAGE_STEP_BYTES))
    const length = bytesToMessageEnd(pieces)
    if (length !== undefined) return [...rest, ...withoutEnd(pieces, sizeOf(pieces) - length)]
    rest.push(...pieces)
  }
  return rest
}

function withoutStart(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  const [first, ...rest] = pieces
  return first === undefined || first.length <= 1 ? rest : [first.subarray(1), ...rest]
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((size, piece) => size + piece.length, 0)
}

function sliceOf(state: StreamState, from: number, to: number, pieces: readonly Uint8Array[]): SliceResult {
  return { kind: 'slice', slice: { state, from, to, pieces } }
}
