/**
 * A layer: everything that changed since a checkpoint began, in memory. The journal makes it durable; reads find it
 * before they look further down. Two exist at most: the one that takes changes, and the one being checkpointed.
 */
import { DueQueue, MemoryStream } from '@millrace/engine'
import {
  dueAtMs,
  evolve,
  ownFrom,
  type StreamId,
  type StreamPath,
  type StreamState,
} from '@millrace/protocol'
import type { RecordedChange, RecordedTouch } from './record-codec.ts'

/** The newest state of a path in a layer; `state` is `undefined` once purged. */
export interface LayerEntry {
  readonly state: StreamState | undefined
  readonly version: number
}

/** What a layer needs of a change besides the state after it. */
export type AppliedChange = Omit<RecordedChange, 'events'>

/** Changes in memory, not yet in blocks and home. */
export class Layer {
  readonly entries: Map<StreamPath, LayerEntry> = new Map()
  /** Bytes appended since the layer began, by stream. */
  readonly bytes: Map<StreamId, MemoryStream> = new Map()
  /** Streams purged since the layer began. */
  readonly purged: Set<StreamId> = new Set()
  readonly due: DueQueue = new DueQueue()
  /** Newest record in it. */
  sequence = 0
  records = 0
  payloadBytes = 0

  /** A checkpoint has nothing to do. Records that change nothing count: their journal segments are to go too. */
  get isEmpty(): boolean {
    return this.entries.size === 0 && this.records === 0
  }

  /** Applies a change that is in the journal. `before` is the state it was decided on. */
  replay(change: RecordedChange, before: StreamState | undefined): void {
    let next = before
    for (const event of change.events) next = evolve(next, event)
    this.apply(change, before, next)
  }

  /** The same where the state after the change is known, and one object serves whoever decided it and the layer. */
  apply(change: AppliedChange, before: StreamState | undefined, next: StreamState | undefined): void {
    const version = next === undefined ? 0 : change.version + 1
    this.entries.set(change.path, { state: next, version })
    this.due.set(change.path, next && dueAtMs(next))
    if (next === undefined) {
      this.purged.add(change.id)
      this.bytes.delete(change.id)
    } else if (change.payload !== undefined) {
      const from = before === undefined ? ownFrom(next) : before.tail
      this.#bytesOf(change.id, from).append(change.payload, change.atMs, change.messages)
      this.payloadBytes += change.payload.length
    }
  }

  /** Renews a window; the state is the newest one of the path, from wherever it is. */
  touch(touch: RecordedTouch, entry: LayerEntry): void {
    const { state, version } = entry
    if (state === undefined || state.id !== touch.id || state.lastAccessMs >= touch.atMs) return
    const renewed = { ...state, lastAccessMs: touch.atMs }
    this.entries.set(touch.path, { state: renewed, version })
    this.due.set(touch.path, dueAtMs(renewed))
  }

  #bytesOf(id: StreamId, from: number): MemoryStream {
    let bytes = this.bytes.get(id)
    if (bytes === undefined) {
      bytes = new MemoryStream(from)
      this.bytes.set(id, bytes)
    }
    return bytes
  }
}

/** A window that was renewed after the change was decided stays renewed. */
export function withAccessOf(
  before: StreamState | undefined,
  next: StreamState | undefined,
): StreamState | undefined {
  if (before === undefined || next === undefined || before.id !== next.id) return next
  return before.lastAccessMs > next.lastAccessMs ? { ...next, lastAccessMs: before.lastAccessMs } : next
}
