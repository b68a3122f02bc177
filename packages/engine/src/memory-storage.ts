/** The memory backend: everything in this process, nothing kept after it. Synchronous throughout. */
import {
  dueAtMs,
  type OwnRange,
  ownBytes,
  ownFrom,
  type StreamId,
  type StreamPath,
  type StreamState,
} from '@millrace/protocol'
import { DueQueue } from './due-queue.ts'
import { Fault } from './fault.ts'
import { MemoryStream } from './memory-stream.ts'
import type {
  AppendUnit,
  Commit,
  CommitResult,
  DueEntry,
  StateChange,
  StorageTraits,
  StreamStorage,
  StreamSummary,
  Touch,
  VersionedState,
} from './storage.ts'

/** How much memory streams may take. */
export interface MemoryStorageOptions {
  /** Payload bytes in all streams together; beyond it appends answer 507. 1 GiB unless given. */
  readonly maxBytes?: number
}

interface Entry {
  state: StreamState
  version: number
}

const GIB = 1024 ** 3

/** Streams in memory, lost when the process ends. */
export function memoryStorage(options: MemoryStorageOptions = {}): StreamStorage {
  return new MemoryStorage(options.maxBytes ?? GIB)
}

class MemoryStorage implements StreamStorage {
  readonly traits: StorageTraits = { durable: false, sharedBetweenProcesses: false, gathersCommits: false }
  readonly generation = 0
  readonly #maxBytes: number
  readonly #entries = new Map<StreamPath, Entry>()
  readonly #streams = new Map<StreamId, MemoryStream>()
  /** Memory taken by each stream's bytes, to give it back. */
  readonly #sizes = new Map<StreamId, number>()
  readonly #due = new DueQueue()
  #usedBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  load(paths: readonly StreamPath[]): readonly (VersionedState | undefined)[] {
    return paths.map((path) => {
      const entry = this.#entries.get(path)
      return entry && { state: entry.state, version: entry.version }
    })
  }

  commit(batch: readonly Commit[]): readonly CommitResult[] {
    // What was decided on top of a commit that did not happen does not happen either.
    const refused = new Set<StreamPath>()
    return batch.map((commit) => {
      const restsOnRefused = commit.changes.some(({ path }) => refused.has(path))
      const result = restsOnRefused ? 'conflict' : this.#apply(commit)
      if (result !== 'durable') for (const { path } of commit.changes) refused.add(path)
      return result
    })
  }

  read(range: OwnRange): readonly Uint8Array[] {
    return this.#stream(range.id).read(range)
  }

  unitAt(id: StreamId, position: number): AppendUnit {
    return this.#stream(id).unitAt(position)
  }

  touch(touches: readonly Touch[]): void {
    for (const { path, id, atMs, dueAtMs } of touches) {
      const entry = this.#entries.get(path)
      if (entry?.state.id !== id || entry.state.softDeleted || entry.state.lastAccessMs >= atMs) continue
      entry.state = { ...entry.state, lastAccessMs: atMs }
      this.#due.set(path, dueAtMs)
    }
  }

  list(prefix: string, after: StreamPath | undefined, limit: number): readonly StreamSummary[] {
    return [...this.#entries.values()]
      .map(({ state }) => state)
      .filter(({ path, softDeleted }) => !softDeleted && path.startsWith(prefix) && path > (after ?? ''))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .slice(0, limit)
      .map(summaryOf)
  }

  due(atOrBeforeMs: number, limit: number): readonly DueEntry[] {
    return this.#due.due(atOrBeforeMs, limit)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #stream(id: StreamId): MemoryStream {
    const stream = this.#streams.get(id)
    if (stream === undefined) throw new Fault('removed', 'The stream was removed while it was being read.')
    return stream
  }

  #apply(commit: Commit): CommitResult {
    let growth = 0
    for (const change of commit.changes) {
      const entry = this.#entries.get(change.path)
      if ((entry?.version ?? 0) !== change.version) return 'conflict'
      if (entry !== undefined && entry.state.id !== change.id) return 'conflict'
      growth += this.#growth(change)
    }
    if (growth > 0 && this.#usedBytes + growth > this.#maxBytes) return 'full'
    for (const change of commit.changes) this.#install(change)
    return 'durable'
  }

  #growth(change: StateChange): number {
    if (change.payload === undefined || change.next === undefined) return 0
    return (this.#streams.get(change.id) ?? new MemoryStream(0)).growth(change.payload)
  }

  #install(change: StateChange): void {
    const { path, id, payload } = change
    const entry = this.#entries.get(path)
    const next = change.next && withNewestAccess(change.next, entry?.state)
    this.#due.set(path, next && dueAtMs(next))
    if (next === undefined) {
      this.#entries.delete(path)
      this.#streams.delete(id)
      this.#usedBytes -= this.#sizes.get(id) ?? 0
      this.#sizes.delete(id)
      return
    }
    if (entry === undefined) this.#entries.set(path, { state: next, version: 1 })
    else {
      entry.state = next
      entry.version = change.version + 1
    }
    if (change.version === 0) this.#streams.set(id, new MemoryStream(ownFrom(next)))
    if (payload === undefined) return
    const growth = this.#growth(change)
    this.#usedBytes += growth
    this.#sizes.set(id, (this.#sizes.get(id) ?? 0) + growth)
    this.#stream(id).append(payload, change.atMs, change.messages)
  }
}

/** A commit that was decided before a touch does not take it back. */
function withNewestAccess(next: StreamState, stored: StreamState | undefined): StreamState {
  if (stored === undefined || stored.id !== next.id || stored.lastAccessMs <= next.lastAccessMs) return next
  return { ...next, lastAccessMs: stored.lastAccessMs }
}

/** A stream as listings show it. */
export function summaryOf(state: StreamState): StreamSummary {
  const { path, contentType, tail, closed } = state
  return { path, contentType, tail, ownBytes: ownBytes(state), closed }
}
