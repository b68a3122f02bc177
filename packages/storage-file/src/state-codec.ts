/** Values of the home: a stream's state, its blocks, and what is kept about block files. JSON, checked by the home. */
import type { Usage, VersionedState } from '@millrace/engine'
import { type Cuts, dueAtMs, ProducerTable, type StreamState } from '@millrace/protocol'

/** A stream as the home keeps it. */
export interface StoredStream extends VersionedState {
  /** Everything below this position is in blocks. */
  readonly stored: number
  /** The key of its due entry, as an instant; `undefined` if it has none. */
  readonly dueAtMs: number | undefined
}

/** Writes a stream's value. */
export function encodeStream(state: StreamState, version: number, stored: number): Uint8Array {
  const { producers, cuts, ...rest } = state
  const value = { version, stored, state: rest, producers: [...producers.entries()] }
  return Buffer.from(JSON.stringify(cuts.length === 0 ? value : { ...value, cuts }))
}

/** Reads a stream's value. */
export function decodeStream(value: Uint8Array): StoredStream {
  // The home's checksum has vouched for the shape: this is what `encodeStream` made.
  const parsed = JSON.parse(textOf(value)) as {
    readonly version: number
    readonly stored: number
    readonly state: Omit<StreamState, 'producers' | 'cuts'>
    readonly cuts?: Cuts
    readonly producers: Parameters<typeof ProducerTable.from>[0]
  }
  // JSON has no `undefined`: what is left out is put back, so that states compare and spread alike everywhere.
  const state: StreamState = {
    ...parsed.state,
    closedBy: parsed.state.closedBy,
    streamSeq: parsed.state.streamSeq,
    fork: parsed.state.fork,
    producers: ProducerTable.from(parsed.producers),
    cuts: parsed.cuts ?? [],
  }
  return { version: parsed.version, stored: parsed.stored, state, dueAtMs: dueAtMs(state) }
}

/** Where a block is: its file, its place in it, and the stream's bytes it holds. */
export interface BlockPlace {
  readonly file: number
  readonly at: number
  /** Whole block, header included. */
  readonly sizeBytes: number
  readonly from: number
  readonly to: number
}

/** Writes a block's value. */
export function encodePlace(place: BlockPlace): Uint8Array {
  return Buffer.from(JSON.stringify([place.file, place.at, place.sizeBytes, place.from, place.to]))
}

/** Reads a block's value. */
export function decodePlace(value: Uint8Array): BlockPlace {
  const [file, at, sizeBytes, from, to] = JSON.parse(textOf(value)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return { file, at, sizeBytes, from, to }
}

/** How much of a block file is in use. */
export interface FileUse {
  readonly sizeBytes: number
  readonly liveBytes: number
}

/** Writes a block file's value. */
export function encodeUse(use: FileUse): Uint8Array {
  return Buffer.from(JSON.stringify([use.sizeBytes, use.liveBytes]))
}

/** Reads a block file's value. */
export function decodeUse(value: Uint8Array): FileUse {
  const [sizeBytes, liveBytes] = JSON.parse(textOf(value)) as [number, number]
  return { sizeBytes, liveBytes }
}

/** Writes the count of streams and their bytes. */
export function encodeUsage({ streams, bytes }: Usage): Uint8Array {
  return Buffer.from(JSON.stringify([streams, bytes]))
}

/** Reads the count of streams and their bytes. */
export function decodeUsage(value: Uint8Array): Usage {
  const [streams, bytes] = JSON.parse(textOf(value)) as [number, number]
  return { streams, bytes }
}

/** Bytes of the home as text. */
export function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString()
}
