/** Values of the home: a stream's state, its blocks, and what is kept about block files. JSON, checked by the home. */
import type { Usage, VersionedState } from '@millrace/engine'
import {
  type Cuts,
  dueAtMs,
  NEVER,
  type ProducerEntry,
  ProducerTable,
  type StreamState,
} from '@millrace/protocol'

/** A stream as the home keeps it. */
export interface StoredStream extends VersionedState {
  /** Everything below this position is in blocks. */
  readonly stored: number
  /** The key of its due entry, as an instant; `undefined` if it has none. */
  readonly dueAtMs: number | undefined
}

/** Writes a stream's value. */
export function encodeStream(state: StreamState, version: number, stored: number): Uint8Array {
  const value: StoredValue = {
    version,
    stored,
    state: {
      id: state.id,
      path: state.path,
      createdAtMs: state.createdAtMs,
      contentType: state.contentType,
      mediaType: state.mediaType,
      format: state.format,
      expiry: state.expiry,
      lastAccessMs: state.lastAccessMs,
      base: state.base,
      tail: state.tail,
      closed: state.closed,
      closedBy: state.closedBy,
      streamSeq: state.streamSeq,
      fork: state.fork,
      refCount: state.refCount,
      softDeleted: state.softDeleted,
    },
    producers: state.producers.size === 0 ? NO_PRODUCERS : [...state.producers.entries()],
    cuts: state.cuts.length === 0 ? undefined : state.cuts,
  }
  return Buffer.from(JSON.stringify(value))
}

/** Reads a stream's value. */
export function decodeStream(value: Uint8Array): StoredStream {
  // The home's checksum has vouched for the shape: this is what `encodeStream` made.
  const { version, stored, state: kept, producers, cuts } = JSON.parse(textOf(value)) as StoredValue
  // JSON has no `undefined`: what is left out is put back, so that states compare and spread alike everywhere. What
  // most streams have in common is one object for all: a layer may hold very many states.
  const state: StreamState = {
    id: kept.id,
    path: kept.path,
    createdAtMs: kept.createdAtMs,
    contentType: shared(kept.contentType),
    mediaType: shared(kept.mediaType),
    format: kept.format,
    expiry: kept.expiry.kind === 'never' ? NEVER : kept.expiry,
    lastAccessMs: kept.lastAccessMs,
    base: kept.base,
    tail: kept.tail,
    cuts: cuts ?? NO_CUTS,
    closed: kept.closed,
    closedBy: kept.closedBy,
    streamSeq: kept.streamSeq,
    producers: ProducerTable.from(producers),
    fork: kept.fork,
    refCount: kept.refCount,
    softDeleted: kept.softDeleted,
  }
  return { version, stored, state, dueAtMs: dueAtMs(state) }
}

/** What is stored, in the order in which it is written. */
interface StoredValue {
  readonly version: number
  readonly stored: number
  readonly state: Omit<StreamState, 'producers' | 'cuts'>
  readonly producers: readonly (readonly [string, ProducerEntry])[]
  readonly cuts: Cuts | undefined
}

const NO_PRODUCERS: StoredValue['producers'] = []
const NO_CUTS: Cuts = []
/** Media types by their text; bounded, because clients choose them. */
const sharedTexts = new Map<string, string>()
const MOST_SHARED_TEXTS = 64

function shared(text: string): string {
  const known = sharedTexts.get(text)
  if (known !== undefined) return known
  if (sharedTexts.size < MOST_SHARED_TEXTS) sharedTexts.set(text, text)
  return text
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
