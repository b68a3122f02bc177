/**
 * One stream in memory: its decided state (with commits in flight; new commands are judged by it), its durable
 * state (all that any reader sees), and whoever waits for the latter to move.
 */
import { dueAtMs, type Slice, type StreamPath, type StreamState } from '@millrace/protocol'
import type { Ticket } from './group-commit.ts'
import type { Step } from './reading.ts'
import type { VersionedState } from './storage.ts'

/** Somebody who wants to look again when a stream has changed. Woken once; it parks again if it wants more. */
export interface Waiter {
  wake(): void
}

/** A read of positions of a state. */
export interface SharedRead {
  readonly state: StreamState
  readonly from: number
  readonly to: number
  readonly step: Promise<Step>
}

/** A slice, and where it should have ended: a message may reach over that or end before it. */
export interface SharedSlice {
  readonly slice: Slice
  readonly to: number
}

/** The in-memory entry of one path, whether or not a stream exists there. */
export class Entity {
  readonly path: StreamPath
  /** False until the stored state is here, and again after a conflict. */
  loaded = false
  loading: Promise<void> | undefined
  decided: StreamState | undefined
  durable: StreamState | undefined
  /** Version of `decided`: what the next commit is decided on; 0 without a stream. */
  version = 0
  /** The newest commit in flight: answers about `decided` rest on it. */
  inFlight: Ticket | undefined
  /** Commands, readers and loads that use this entry; it may be dropped only at 0. */
  pins = 0
  /** Long-polls and SSE readers; a stream that has any does not expire by its sliding window. */
  readers = 0
  waiters: Set<Waiter> = new Set()
  /** The newest slice handed out, shared by all readers that are at the same place and want as much. */
  sharedSlice: SharedSlice | undefined
  /** The newest read that is under way, shared likewise. */
  sharedRead: SharedRead | undefined
  #touchedAtMs = 0

  constructor(path: StreamPath) {
    this.path = path
  }

  /** Takes what the store has. */
  install(stored: VersionedState | undefined): void {
    this.loaded = true
    this.decided = this.#renewed(stored?.state)
    this.durable = this.decided
    this.version = stored?.version ?? 0
  }

  /** Forgets what was decided on a state that turned out to be wrong; the next use loads again. */
  invalidate(): void {
    this.loaded = false
  }

  /** Moves the decided state; the commit is on its way. */
  decide(next: StreamState | undefined, ticket: Ticket): void {
    this.decided = next
    this.version = next === undefined ? 0 : this.version + 1
    this.inFlight = ticket
  }

  /** Moves the durable state: the commit has arrived. */
  settle(next: StreamState | undefined): void {
    this.durable = this.#renewed(next)
    this.sharedSlice = undefined
    this.sharedRead = undefined
  }

  /** Restarts the sliding window; returns the new deadline, or `undefined` if the stream has no window. */
  touch(nowMs: number): number | undefined {
    if (this.decided?.expiry.kind !== 'ttl' || this.decided.softDeleted) return undefined
    this.#touchedAtMs = nowMs
    this.decided = this.#renewed(this.decided)
    this.durable = this.#renewed(this.durable)
    return this.decided === undefined ? undefined : dueAtMs(this.decided)
  }

  /** Whether half of the sliding window has passed since the last access. */
  isHalfway(nowMs: number): boolean {
    const state = this.decided
    return state?.expiry.kind === 'ttl' && nowMs - state.lastAccessMs >= state.expiry.ttlSeconds * 500
  }

  #renewed(state: StreamState | undefined): StreamState | undefined {
    if (state === undefined || state.expiry.kind !== 'ttl' || state.lastAccessMs >= this.#touchedAtMs)
      return state
    return state.createdAtMs > this.#touchedAtMs ? state : { ...state, lastAccessMs: this.#touchedAtMs }
  }
}
