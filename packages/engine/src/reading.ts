/**
 * Readers: one step around `planRead`, used by catch-up, long-poll and SSE alike. Planning and parking happen in
 * one synchronous step on the durable state, so no append can fall between them.
 */
import {
  planRead,
  type ReadStart,
  type Rejection,
  type Slice,
  type StreamId,
  type StreamState,
} from '@millrace/protocol'
import type { Deadlines } from './deadlines.ts'
import type { Entity, SharedRead, Waiter } from './entity.ts'
import type { EntityTable } from './entity-table.ts'
import type { Eventual } from './eventual.ts'
import { Fault } from './fault.ts'
import type { EngineLimits } from './limits.ts'
import { readSlice, type SliceResult } from './slice-reader.ts'
import type { StreamStorage } from './storage.ts'

/** What the readers of one engine share. */
export interface ReadingContext {
  readonly table: EntityTable
  readonly storage: StreamStorage
  readonly limits: EngineLimits
  readonly deadlines: Deadlines
  readonly live: LiveReaders
  nowMs(): number
  /** Calls back in a later turn, after what is waiting already. */
  defer(callback: () => void): void
  /** Keeps a stream with live readers from expiring by its sliding window. */
  keepAlive(entity: Entity): void
}

/** One step: bytes, nothing new, or no. */
export type Step =
  | { readonly kind: 'slice'; readonly slice: Slice }
  | { readonly kind: 'at-tail'; readonly state: StreamState }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }

/** Whose step: where it begins, how far it goes at most, and the incarnation it is held to, if it has begun. */
export interface StepRequest {
  readonly start: ReadStart
  readonly chunkBytes: number
  readonly id: StreamId | undefined
}

/** Plans and reads one step from a stream's durable state. */
export function takeStep(
  context: ReadingContext,
  entity: Entity,
  { start, chunkBytes, id }: StepRequest,
): Eventual<Step> {
  context.keepAlive(entity)
  const { durable } = entity
  const visible = id === undefined || durable?.id === id ? durable : undefined
  const plan = planRead(visible, start, chunkBytes, context.nowMs(), context.storage.generation)
  if (plan.kind !== 'data') return plan
  const { state, from, to } = plan
  const shared = entity.sharedSlice
  if (shared?.slice.state === state && shared.slice.from === from && shared.to === to)
    return { kind: 'slice', slice: shared.slice }
  const under = entity.sharedRead
  if (under?.state === state && under.from === from && under.to === to) return under.step
  const read = readSlice(context.storage, state, from, to)
  if (!(read instanceof Promise)) return keepShared(context, entity, read, to)
  const step = read.then((result) => keepShared(context, entity, result, to), removedAsMissing)
  if (entity.readers > 0) shareRead(entity, { state, from, to, step })
  return step
}

/** Only while it is under way: a failure must not be handed to those who come later, nor its bytes be kept. */
function shareRead(entity: Entity, read: SharedRead): void {
  entity.sharedRead = read
  const over = (): void => {
    if (entity.sharedRead === read) entity.sharedRead = undefined
  }
  read.step.then(over, over)
}

/** A stream may be purged while its bytes are on their way; its reader gets what a later one would. */
function removedAsMissing(error: unknown): Step {
  if (error instanceof Fault && error.code === 'removed')
    return { kind: 'rejected', rejection: { kind: 'not-found' } }
  throw error
}

/** Readers at the same place get the same slice, and what is encoded from it is encoded once. */
function keepShared(context: ReadingContext, entity: Entity, result: SliceResult, to: number): SliceResult {
  if (result.kind !== 'slice' || entity.readers === 0) return result
  const { slice } = result
  const isSmall = slice.to - slice.from <= context.limits.maxSharedSliceBytes
  if (isSmall && slice.state === entity.durable) entity.sharedSlice = { slice, to }
  return result
}

/** A long-poll or SSE reader, as far as ending it from this side goes. */
export interface LiveReader {
  shutDown(): void
}

const TOO_MANY: Rejection = {
  kind: 'busy',
  detail: 'Too many live readers: try again, or read without the live parameter.',
}

/** Knows all live readers, keeps them below their bounds, and ends them when the engine closes. */
export class LiveReaders {
  readonly #limits: EngineLimits
  readonly #touch: (entity: Entity) => void
  readonly #readers = new Set<LiveReader>()
  isClosed = false

  constructor(limits: EngineLimits, touch: (entity: Entity) => void) {
    this.#limits = limits
    this.#touch = touch
  }

  /** Live readers of all streams. */
  get count(): number {
    return this.#readers.size
  }

  /** Why one more reader of a stream cannot be admitted; `undefined` if it can. */
  refusal(entity: Entity): Rejection | undefined {
    const { maxReaders, maxReadersPerStream } = this.#limits
    return this.#readers.size >= maxReaders || entity.readers >= maxReadersPerStream ? TOO_MANY : undefined
  }

  enter(entity: Entity, reader: LiveReader): void {
    this.#readers.add(reader)
    entity.readers++
  }

  /** A reader is done; the sliding window of its stream restarts (12.3). */
  leave(entity: Entity, reader: LiveReader): void {
    if (!this.#readers.delete(reader)) return
    entity.readers--
    this.#touch(entity)
  }

  /** Ends all readers; those that come later are not made to wait. */
  close(): void {
    this.isClosed = true
    for (const reader of [...this.#readers]) reader.shutDown()
  }
}

/** Where a waiter is parked; parking again after a wake is a new place. */
export function park(entity: Entity, waiter: Waiter): Set<Waiter> {
  entity.waiters.add(waiter)
  return entity.waiters
}
