/**
 * A layer: everything that changed since a checkpoint began, in memory. The journal makes it durable; reads find it
 * before they look further down. Two exist at most: the one that takes changes, and the one being checkpointed.
 */
import { DueQueue, MemoryStream, type Usage } from '@millrace/engine'
import {
  dueAtMs,
  evolve,
  ownFrom,
  type StreamId,
  type StreamPath,
  type StreamState,
} from '@millrace/protocol'
import type { RecordedChange, RecordedTouch } from './record-codec.ts'

/** What the home holds of a path, as far as a checkpoint has to know. */
export interface HomeFacts {
  readonly id: StreamId
  /** Everything below this position is in blocks. */
  readonly stored: number
  /** The key of its due entry, as an instant; `undefined` if it has none. */
  readonly dueAtMs: number | undefined
  /** What it adds to the home's usage. */
  readonly usage: Usage
}

/** The newest state of a path in a layer; `state` is `undefined` once purged. */
export interface LayerEntry {
  readonly state: StreamState | undefined
  readonly version: number
  /**
   * What the home holds of the path while this layer is the oldest one, `'nothing'` for no stream; `undefined` if that
   * is to be looked up.
   */
  readonly home: HomeFacts | 'nothing' | undefined
}

/** What a layer needs of a change besides the state after it. */
export type AppliedChange = Omit<RecordedChange, 'events'>

const SHARED_BYTES = 64 * 1024
const MOST_OF_SHARED = 4 * 1024

/** Memory for the bytes of one layer: its streams end together, and a buffer for each is dear to make and to collect. */
class ChunkAllocator {
  #free = new Uint8Array(0)

  take(bytes: number): Uint8Array {
    if (bytes > MOST_OF_SHARED) return new Uint8Array(bytes)
    if (this.#free.length < bytes) this.#free = new Uint8Array(SHARED_BYTES)
    const taken = this.#free.subarray(0, bytes)
    this.#free = this.#free.subarray(bytes)
    return taken
  }
}

/** Changes in memory, not yet in blocks and home. */
export class Layer {
  readonly entries: Map<StreamPath, LayerEntry> = new Map()
  /** Bytes appended since the layer began, by stream. */
  readonly bytes: Map<StreamId, MemoryStream> = new Map()
  /** Streams purged since the layer began. */
  readonly purged: Set<StreamId> = new Set()
  readonly due: DueQueue = new DueQueue()
  readonly #memory = new ChunkAllocator()
  /** A checkpoint has begun: what was found in the home before may be out of date. */
  isTried = false
  /** Newest record in it. */
  sequence = 0
  records = 0
  payloadBytes = 0

  /** A checkpoint has nothing to do. Records that change nothing count: their journal segments are to go too. */
  get isEmpty(): boolean {
    return this.entries.size === 0 && this.records === 0
  }

  /** Applies a change that is in the journal. `before` is the state it was decided on. */
  replay(change: RecordedChange, before: LayerEntry): void {
    let next = before.state
    for (const event of change.events) next = evolve(next, event)
    this.apply(change, before, next)
  }

  /** The same where the state after the change is known, and one object serves whoever decided it and the layer. */
  apply(change: AppliedChange, before: LayerEntry, next: StreamState | undefined): void {
    const version = next === undefined ? 0 : change.version + 1
    // The state's own strings: those of the change need not be kept beside them.
    const path = next?.path ?? change.path
    this.entries.set(path, { state: next, version, home: before.home })
    this.due.set(path, next && dueAtMs(next))
    if (next === undefined) {
      this.purged.add(change.id)
      this.bytes.delete(change.id)
    } else if (change.payload !== undefined) {
      const from = before.state === undefined ? ownFrom(next) : before.state.tail
      this.#bytesOf(next.id, from).append(change.payload, change.atMs, change.messages)
      this.payloadBytes += change.payload.length
    }
  }

  /** Renews a window; the entry is the newest one of the path, from wherever it is. */
  touch(touch: RecordedTouch, entry: LayerEntry): void {
    const { state, version, home } = entry
    if (state === undefined || state.id !== touch.id || state.lastAccessMs >= touch.atMs) return
    const renewed = { ...state, lastAccessMs: touch.atMs }
    this.entries.set(touch.path, { state: renewed, version, home })
    this.due.set(touch.path, dueAtMs(renewed))
  }

  #bytesOf(id: StreamId, from: number): MemoryStream {
    let bytes = this.bytes.get(id)
    if (bytes === undefined) {
      bytes = new MemoryStream(from, (needed) => this.#memory.take(needed))
      this.bytes.set(id, bytes)
    }
    return bytes
  }
}

/** An entry for the next layer to go on from: once the frozen one is written, the home holds something else. */
export function entryAbove(frozen: Layer | undefined, path: StreamPath, entry: LayerEntry): LayerEntry {
  return frozen?.entries.get(path) === entry ? { ...entry, home: undefined } : entry
}

/** A window that was renewed after the change was decided stays renewed. */
export function withAccessOf(
  before: StreamState | undefined,
  next: StreamState | undefined,
): StreamState | undefined {
  if (before === undefined || next === undefined || before.id !== next.id) return next
  return before.lastAccessMs > next.lastAccessMs ? { ...next, lastAccessMs: before.lastAccessMs } : next
}
