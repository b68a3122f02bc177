/**
 * The storage port: keeps facts. It knows no protocol rule, it reports conflicts and faults, it never refuses a
 * command. What every backend must do is `storage-contract.ts`, run as a test suite.
 */
import type { OwnRange, StreamEvent, StreamId, StreamPath, StreamState } from '@millrace/protocol'
import type { Eventual } from './eventual.ts'

/** What the engine must know of a backend. */
export interface StorageTraits {
  /** A commit survives the end of the process. */
  readonly durable: boolean
  /** Other processes may change the same streams: cached states can be out of date, refusals are judged again. */
  readonly sharedBetweenProcesses: boolean
  /** A commit call costs enough that the engine gathers all commits of a turn, and all that come during a call. */
  readonly gathersCommits: boolean
}

/** A stored state and the version that the next change must name; versions start at 1. */
export interface VersionedState {
  readonly state: StreamState
  readonly version: number
}

/** What happens to one stream in a commit. */
export interface StateChange {
  readonly path: StreamPath
  readonly id: StreamId
  /** Version of the state the change was decided on; 0 for a path without a stream. */
  readonly version: number
  /** For backends that store facts. */
  readonly events: readonly StreamEvent[]
  /** For backends that store states: the state after the events; `undefined` once purged. */
  readonly next: StreamState | undefined
  /** Bytes appended at `payloadAt`, as one append unit. The store may keep them without copying. */
  readonly payload: Uint8Array | undefined
  readonly payloadAt: number
  readonly messages: number
  /** Commit time; never decreases within a stream. */
  readonly atMs: number
  /** When `due` must report the stream; `undefined` if never. */
  readonly dueAtMs: number | undefined
}

/** Changes that become visible and durable together or not at all. */
export interface Commit {
  readonly changes: readonly StateChange[]
}

/**
 * `durable`: it is as safe as the backend promises. `conflict`: a version did not match, nothing changed. `full`:
 * no room, nothing changed. `busy`: no room at this moment, nothing changed. `unknown`: it may or may not have happened.
 */
export type CommitResult = 'durable' | 'conflict' | 'full' | 'busy' | 'unknown'

/** The append unit around a position: one PUT or POST body. */
export interface AppendUnit {
  readonly from: number
  readonly to: number
  readonly atMs: number
  readonly messages: number
}

/** A read or other use of a stream with a sliding window. */
export interface Touch {
  readonly path: StreamPath
  readonly id: StreamId
  readonly atMs: number
  readonly dueAtMs: number
}

/** Streams that exist, and the bytes of their own that they hold; or a change of both. */
export interface Usage {
  readonly streams: number
  readonly bytes: number
}

/** One line of a listing. */
export interface StreamSummary {
  readonly path: StreamPath
  readonly contentType: string
  readonly tail: number
  /** Bytes that are stored for this stream alone; what a fork inherits is left out. */
  readonly ownBytes: number
  readonly closed: boolean
}

/** A stream that asked to be looked at by now. */
export interface DueEntry {
  readonly path: StreamPath
  readonly dueAtMs: number
}

/** Keeps the streams of one server. All methods may be called before an earlier call has finished. */
export interface StreamStorage {
  readonly traits: StorageTraits
  /**
   * 0, and more for a store that lost acknowledged bytes: what is appended from now on is of this generation, so
   * that no offset names two different bytes. Does not change while the store is open.
   */
  readonly generation: number
  /** The last committed state of each path, in the order asked; synchronous where the backend can. */
  load(paths: readonly StreamPath[]): Eventual<readonly (VersionedState | undefined)[]>
  /** Applies commits in order, each on top of those before it. Throws if the store as a whole has failed. */
  commit(batch: readonly Commit[]): Eventual<readonly CommitResult[]>
  /** One stream's own bytes, complete and in order, in pieces that never change; or it throws. */
  read(range: OwnRange): Eventual<readonly Uint8Array[]>
  /** The append unit that holds the byte at a position of the stream's own bytes. */
  unitAt(id: StreamId, position: number): Eventual<AppendUnit>
  /** Renews sliding windows: batched, not awaited, no new version. Unknown ids are ignored; after `close`, all are. */
  touch(touches: readonly Touch[]): void
  /** Streams whose path starts with a prefix, in bytewise order of the path, after a given one. */
  list(prefix: string, after: StreamPath | undefined, limit: number): Eventual<readonly StreamSummary[]>
  /**
   * What `list` would come to, without reading all of it; `undefined` if that is not known. Absent: it never is.
   */
  usage?(): Usage | undefined
  /** Streams whose due time is at or before an instant, earliest first. They stay due until they change. */
  due(atOrBeforeMs: number, limit: number): Eventual<readonly DueEntry[]>
  /** Why the store takes no writes any more, as a sentence; `undefined` while it does. Absent: it always does. */
  refusesWrites?(): string | undefined
  close(): Promise<void>
}
