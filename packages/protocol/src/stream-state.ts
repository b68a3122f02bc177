/**
 * The state of one stream and the events that change it. States are immutable: the engine holds the decided and
 * the durable one side by side, and what a command decided becomes durable by moving one reference.
 */
import { deadlineMs, type Expiry, NEVER } from './expiry.ts'
import type { Cuts } from './generation.ts'
import type { OwnRange } from './lineage.ts'
import { DEFAULT_CONTENT_TYPE, type StreamFormat, streamFormat } from './media-type.ts'
import { type ProducerStamp, ProducerTable } from './producer-table.ts'
import type { StreamPath } from './stream-path.ts'

declare const idBrand: unique symbol

/** Identity of one incarnation of a stream: unique per creation, never reused for the same path. */
export type StreamId = string & { readonly [idBrand]: true }

/** Marks a freshly drawn or stored id as one; whoever draws it vouches for its uniqueness. */
export function streamId(id: string): StreamId {
  return id as StreamId
}

/** Where a fork left its source, and where the bytes before that point are. */
export interface ForkOrigin {
  readonly sourcePath: StreamPath
  readonly sourceId: StreamId
  /** The requested fork offset, as a position (the source's tail at creation when it was left out). */
  readonly forkPosition: number
  /** Bytes or messages past the fork offset, as requested. */
  readonly subOffset: number
  /** Where inherited bytes end and the fork's own begin: fork offset plus the extent of the sub-offset. */
  readonly ownFrom: number
  /** The ranges of ancestors that hold the bytes below `ownFrom`, in order. Never changes. */
  readonly inherited: readonly OwnRange[]
  /** Paths of the source, its source and so on; each is kept by a reference, so each names one incarnation. */
  readonly ancestors: readonly StreamPath[]
  readonly expiryInherited: boolean
  /** Cuts of the source below `ownFrom`: inherited bytes keep their offsets. */
  readonly cuts: Cuts
}

/** Everything the rules know about one stream. */
export interface StreamState {
  readonly id: StreamId
  readonly path: StreamPath
  readonly createdAtMs: number
  /** Verbatim, as given at creation or inherited. */
  readonly contentType: string
  readonly mediaType: string
  readonly format: StreamFormat
  readonly expiry: Expiry
  /** Last read or write, for the sliding window. */
  readonly lastAccessMs: number
  /** Lowest position a reader may ask for; 0 until retention moves it. */
  readonly base: number
  /** Position just past the last stored byte. */
  readonly tail: number
  /** Where the generation of its offsets changes. */
  readonly cuts: Cuts
  readonly closed: boolean
  readonly closedBy: ProducerStamp | undefined
  readonly streamSeq: string | undefined
  readonly producers: ProducerTable
  readonly fork: ForkOrigin | undefined
  /** Existing forks whose immediate source this is. */
  readonly refCount: number
  readonly softDeleted: boolean
}

/** The configuration a stream is created with; all of it is fixed for its life. */
export interface StreamConfig {
  readonly id: StreamId
  readonly path: StreamPath
  readonly contentType: string
  readonly mediaType: string
  readonly expiry: Expiry
  readonly fork: ForkOrigin | undefined
}

/** What a PUT or POST adds: bytes as stored, and the number of messages in them (1 for a byte stream). */
export interface AppendedUnit {
  readonly sizeBytes: number
  readonly messages: number
}

/** One accepted POST, or the initial body of a PUT: bytes, closure, producer and seq in one fact. */
export interface AppendedEvent {
  readonly kind: 'appended'
  readonly unit: AppendedUnit | undefined
  readonly closes: boolean
  readonly producer: ProducerStamp | undefined
  readonly streamSeq: string | undefined
  /** Producers last used before this instant are forgotten. */
  readonly forgetBeforeMs: number | undefined
  readonly atMs: number
}

/** One fact about one stream. Events of one stream fold in order; `evolve` is their only interpreter. */
export type StreamEvent =
  | { readonly kind: 'created'; readonly config: StreamConfig; readonly atMs: number }
  | AppendedEvent
  /** What is appended from here on is of this generation. */
  | { readonly kind: 'cut'; readonly generation: number }
  | { readonly kind: 'referenced' }
  | { readonly kind: 'released' }
  | { readonly kind: 'soft-deleted' }
  | { readonly kind: 'purged' }

/** Folds one event into the state of one stream; `undefined` is a stream that does not exist. */
export function evolve(state: StreamState | undefined, event: StreamEvent): StreamState | undefined {
  if (event.kind === 'created') return created(event.config, event.atMs)
  if (state === undefined) throw new Error(`a stream that does not exist cannot be ${event.kind}`)
  switch (event.kind) {
    case 'appended':
      return appended(state, event)
    case 'cut':
      return { ...state, cuts: [...state.cuts, { generation: event.generation, from: state.tail }] }
    case 'referenced':
      return { ...state, refCount: state.refCount + 1 }
    case 'released':
      return { ...state, refCount: state.refCount - 1 }
    case 'soft-deleted':
      return { ...state, softDeleted: true }
    case 'purged':
      return undefined
    default:
      return event satisfies never
  }
}

function created(config: StreamConfig, atMs: number): StreamState {
  return {
    id: config.id,
    path: config.path,
    createdAtMs: atMs,
    contentType: config.contentType,
    mediaType: config.mediaType,
    format: streamFormat(config.mediaType),
    expiry: config.expiry,
    lastAccessMs: atMs,
    base: 0,
    tail: config.fork?.ownFrom ?? 0,
    cuts: config.fork?.cuts ?? [],
    closed: false,
    closedBy: undefined,
    streamSeq: undefined,
    producers: ProducerTable.empty,
    fork: config.fork,
    refCount: 0,
    softDeleted: false,
  }
}

function appended(state: StreamState, event: AppendedEvent): StreamState {
  const { unit, producer } = event
  return {
    ...state,
    // A window that was renewed meanwhile is not shortened.
    lastAccessMs: Math.max(state.lastAccessMs, event.atMs),
    tail: unit === undefined ? state.tail : state.tail + unit.sizeBytes,
    closed: state.closed || event.closes,
    closedBy: event.closes ? producer : state.closedBy,
    streamSeq: event.streamSeq ?? state.streamSeq,
    producers: producer === undefined ? state.producers : withProducer(state.producers, producer, event),
  }
}

function withProducer(
  producers: ProducerTable,
  producer: ProducerStamp,
  event: AppendedEvent,
): ProducerTable {
  const kept = event.forgetBeforeMs === undefined ? producers : producers.withoutIdle(event.forgetBeforeMs)
  return kept.with(producer.id, { epoch: producer.epoch, lastSeq: producer.seq, updatedAtMs: event.atMs })
}

/** The lowest position whose bytes are this stream's own; below it they are inherited. */
export function ownFrom(state: StreamState): number {
  return state.fork?.ownFrom ?? 0
}

/** Bytes that are stored for the stream alone. */
export function ownBytes(state: StreamState): number {
  return state.tail - ownFrom(state)
}

/** When the stream ends by itself, as far as this state knows; `undefined` if never. */
export function dueAtMs(state: StreamState): number | undefined {
  return state.softDeleted ? undefined : deadlineMs(state.expiry, state.lastAccessMs)
}

/** A stream of plain bytes at rest, for whoever needs defaults (tests, tools). */
export const PLAIN_CONFIG: Pick<StreamConfig, 'contentType' | 'mediaType' | 'expiry' | 'fork'> = {
  contentType: DEFAULT_CONTENT_TYPE,
  mediaType: DEFAULT_CONTENT_TYPE,
  expiry: NEVER,
  fork: undefined,
}
