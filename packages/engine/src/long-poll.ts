/** Long-poll: answers with what is there, or waits for it, for the end, or for the time to run out (10.3). */
import { type ReadStart, type Rejection, type Slice, type StreamState, tailSlice } from '@millrace/protocol'
import type { Deadline, DeadlineSlot } from './deadlines.ts'
import type { Entity, Waiter } from './entity.ts'
import { type LiveReader, park, type ReadingContext, takeStep } from './reading.ts'

/** What a reader that waits gets. `aborted`: it went away. */
export type LongPollResult =
  | { readonly kind: 'slice'; readonly slice: Slice }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
  | { readonly kind: 'aborted' }

/** How a reader waits, and how it is told to stop. */
export interface WaitOptions {
  readonly waitMs: number
  /** Registers what to do when the client goes away. */
  onAborted(listener: () => void): void
}

/** Waits on a loaded entity whose reader is at the tail of the state it has seen. */
export async function longPoll(
  context: ReadingContext,
  entity: Entity,
  seen: StreamState,
  options: WaitOptions,
): Promise<LongPollResult> {
  if (seen.closed || context.live.isClosed) return { kind: 'slice', slice: tailSlice(seen) }
  const refusal = context.live.refusal(entity)
  if (refusal) return { kind: 'rejected', rejection: refusal }
  const wait = new Wait(context, options)
  context.live.enter(entity, wait)
  try {
    return await waitFrom(context, entity, seen, wait)
  } finally {
    wait.dispose()
    context.live.leave(entity, wait)
  }
}

async function waitFrom(
  context: ReadingContext,
  entity: Entity,
  seen: StreamState,
  wait: Wait,
): Promise<LongPollResult> {
  const from: ReadStart = { kind: 'position', position: seen.tail }
  const request = { start: from, chunkBytes: context.limits.chunkBytes, id: seen.id }
  for (;;) {
    const step = await takeStep(context, entity, request)
    // An at-tail step was planned on this turn's durable state or awaited for nothing: look again, then park.
    if (step.kind !== 'at-tail') return step
    if (entity.durable !== step.state) continue
    if (step.state.closed || wait.isOver) return { kind: 'slice', slice: tailSlice(step.state) }
    if ((await wait.next(entity)) === 'aborted') return { kind: 'aborted' }
  }
}

/** One reader's patience: spans all its parkings, ends by time, by abort or by shutdown. */
class Wait implements Waiter, Deadline, LiveReader {
  readonly #context: ReadingContext
  readonly #slot: DeadlineSlot
  #parkedIn: Set<Waiter> | undefined
  #go: ((why: 'moved' | 'aborted') => void) | undefined
  #isAborted = false
  isOver = false

  constructor(context: ReadingContext, options: WaitOptions) {
    this.#context = context
    this.#slot = context.deadlines.schedule(options.waitMs, this)
    options.onAborted(() => {
      this.#isAborted = true
      this.#release('aborted')
    })
  }

  /** Parks until the stream moves, the time is over, or the reader is gone. */
  next(entity: Entity): Promise<'moved' | 'aborted'> {
    if (this.#isAborted) return Promise.resolve('aborted')
    this.#parkedIn = park(entity, this)
    return new Promise((resolve) => {
      this.#go = resolve
    })
  }

  wake(): void {
    this.#release('moved')
  }

  expire(): void {
    this.isOver = true
    this.#release('moved')
  }

  shutDown(): void {
    this.expire()
  }

  /** Gives the deadline up; to be called when the reader has its answer. */
  dispose(): void {
    this.#context.deadlines.cancel(this.#slot, this)
  }

  #release(why: 'moved' | 'aborted'): void {
    this.#parkedIn?.delete(this)
    this.#parkedIn = undefined
    const go = this.#go
    this.#go = undefined
    go?.(why)
  }
}
