/**
 * What the cases of the storage contract are written with: a stream whose changes are made as the engine makes
 * them, the parts of a test framework that the cases use, and bytes to store.
 */
import {
  DEFAULT_CONTENT_TYPE,
  dueAtMs,
  evolve,
  NEVER,
  ownFrom,
  type ProducerStamp,
  parseStreamPath,
  type StreamConfig,
  type StreamEvent,
  type StreamId,
  type StreamPath,
  type StreamState,
  streamId,
} from '@millrace/protocol'
import type { Commit, CommitResult, StateChange, StreamStorage, VersionedState } from './storage.ts'

/** The expectations that the cases use; any framework with these few will do. */
export interface ContractMatchers {
  toBe(expected: unknown): void
  toEqual(expected: unknown): void
  toMatchObject(expected: object): void
}

/** The test framework: it comes in as a value, so that this package needs none to run. */
export interface ContractSuite {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>, timeoutMs?: number): unknown
  expect(actual: unknown): ContractMatchers
}

/** A case: it gets an empty store, which is closed after it. */
export type ContractCase = (storage: StreamStorage) => Promise<void>

/** What a group of cases is registered with. */
export interface ContractGroup {
  readonly suite: ContractSuite
  check(name: string, body: ContractCase, timeoutMs?: number): void
}

/** One append, close, or both; each is one event and one append unit. */
export interface ContractWrite {
  readonly bytes?: Uint8Array
  readonly messages?: number
  readonly closes?: boolean
  readonly producer?: ProducerStamp
  readonly streamSeq?: string
  readonly atMs?: number
}

/** The time at which everything happens unless a case says otherwise. */
export const NOW: number = Date.UTC(2026, 0, 1)

/** A path that is known to be one. */
export function pathOf(text: string): StreamPath {
  const parsed = parseStreamPath(text)
  if (parsed.kind !== 'stream') throw new Error(`${text} is not a stream path`)
  return parsed.path
}

/** One stream as its only writer sees it: each call makes the next change and moves state and version on. */
export class ContractStream {
  readonly path: StreamPath
  readonly id: StreamId
  state: StreamState | undefined
  version = 0

  constructor(path: string, id: string = `id-${path.replaceAll('/', '_')}`) {
    this.path = pathOf(path)
    this.id = streamId(id)
  }

  /** The same stream as another writer sees it from here on. */
  copy(): ContractStream {
    const copied = new ContractStream(this.path, this.id)
    copied.state = this.state
    copied.version = this.version
    return copied
  }

  create(config: Partial<StreamConfig> = {}, write?: ContractWrite): StateChange {
    const atMs = write?.atMs ?? NOW
    const created: StreamEvent = { kind: 'created', config: this.#config(config), atMs }
    return this.#change(write ? [created, eventOf(write)] : [created], write)
  }

  append(write: ContractWrite): StateChange {
    return this.#change([eventOf(write)], write)
  }

  /** Text, as one message. */
  write(text: string, atMs: number = NOW): StateChange {
    return this.append({ bytes: new TextEncoder().encode(text), atMs })
  }

  note(kind: 'referenced' | 'released' | 'soft-deleted' | 'purged'): StateChange {
    return this.#change([{ kind }], undefined)
  }

  #config(given: Partial<StreamConfig>): StreamConfig {
    const contentType = given.contentType ?? DEFAULT_CONTENT_TYPE
    const mediaType = given.mediaType ?? contentType
    const { expiry = NEVER, fork } = given
    return { id: this.id, path: this.path, contentType, mediaType, expiry, fork }
  }

  #change(events: readonly StreamEvent[], write: ContractWrite | undefined): StateChange {
    const { version } = this
    const next = events.reduce(evolve, this.state)
    const payload = write?.bytes
    const before = this.state ?? (next && { ...next, tail: ownFrom(next) })
    this.state = next
    this.version = next === undefined ? 0 : version + 1
    return {
      path: this.path,
      id: this.id,
      version,
      events,
      next,
      payload,
      payloadAt: payload === undefined ? 0 : (before?.tail ?? 0),
      messages: payload === undefined ? 0 : (write?.messages ?? 1),
      atMs: write?.atMs ?? NOW,
      dueAtMs: next && dueAtMs(next),
    }
  }
}

function eventOf(write: ContractWrite): StreamEvent {
  const { bytes, messages = 1, closes = false, producer, streamSeq, atMs = NOW } = write
  const unit = bytes && { sizeBytes: bytes.length, messages }
  return { kind: 'appended', unit, closes, producer, streamSeq, forgetBeforeMs: undefined, atMs }
}

/** Commits of one change each. */
export function oneByOne(...changes: readonly StateChange[]): readonly Commit[] {
  return changes.map((change) => ({ changes: [change] }))
}

/** Commits changes one after the other, in one call; throws unless all of them arrive. */
export async function commitAll(storage: StreamStorage, ...changes: readonly StateChange[]): Promise<void> {
  for (const result of await storage.commit(oneByOne(...changes))) assertDurable(result)
}

function assertDurable(result: CommitResult): void {
  if (result !== 'durable') throw new Error(`the store answered ${result} where nothing stands in the way`)
}

/** What the store has for a path. */
export async function loadOne(storage: StreamStorage, path: StreamPath): Promise<VersionedState | undefined> {
  const [stored] = await storage.load([path])
  return stored
}

/** A stored state with its producers in plain sight and in one order, to be compared. */
export function plainOf(stored: VersionedState | undefined): unknown {
  if (stored === undefined) return undefined
  const producers = [...stored.state.producers.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
  return { version: stored.version, state: { ...stored.state, producers } }
}

/** A stream's own bytes as one array. */
export async function readBytes(
  storage: StreamStorage,
  id: StreamId,
  from: number,
  to: number,
): Promise<Uint8Array> {
  return concat(await storage.read({ id, from, to }))
}

/** A copy of all pieces, in one. */
export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** Whether two arrays hold the same bytes; frameworks compare large arrays slowly. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

/** What a call throws, now or later; `undefined` if it does not. */
export async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error ?? 'nothing in particular'
  }
}

/** Numbers that look random and are the same in each run (mulberry32), in [0, 1). */
export function seededNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Bytes that differ from place to place, in a buffer of their own. */
export function seededBytes(size: number, next: () => number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at++) bytes[at] = next() * 256
  return bytes
}
