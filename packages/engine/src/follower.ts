/**
 * A follower: pushes slices to one SSE reader, from a position on, for as long as both sides want. It buffers
 * nothing: a reader that cannot take more simply falls behind and is served from the store when it can.
 */
import { type ReadStart, type Slice, type StreamId, tailSlice } from '@millrace/protocol'
import type { Deadline, DeadlineSlot } from './deadlines.ts'
import type { Entity, Waiter } from './entity.ts'
import {
  type LiveReader,
  park,
  type ReadingContext,
  type Step,
  type StepRequest,
  takeStep,
} from './reading.ts'

/** Who takes the slices. */
export interface FollowSink {
  /** Takes a slice; false means: no more until `resume`. An empty slice says where the reader is. */
  deliver(slice: Slice): boolean
  /** Nothing was sent for a while. */
  heartbeat(): void
  /** No more slices will come. `failed`: the store could not be read; the answer must not look complete. */
  end(why: 'closed' | 'removed' | 'lifetime' | 'shutdown' | 'failed', error?: unknown): void
}

/** How long a follower lives and how often it shows that it does. */
export interface FollowOptions {
  /** 0: for ever. */
  readonly lifetimeMs: number
  /** 0: never. */
  readonly heartbeatMs: number
}

/** One reader's place in one stream. Takes over a pin on the entity and gives it back when it ends. */
export class Follower implements Waiter, Deadline, LiveReader {
  readonly #context: ReadingContext
  readonly #entity: Entity
  readonly #id: StreamId
  readonly #sink: FollowSink
  readonly #options: FollowOptions
  #from: ReadStart
  /** What the first step found already, good as long as the stream has not moved since. */
  #first: Slice | undefined
  #state: 'idle' | 'reading' | 'parked' | 'blocked' | 'ended' = 'idle'
  #isAnnounced = false
  #parkedIn: Set<Waiter> | undefined
  #slot: DeadlineSlot | undefined
  readonly #endsAtMs: number
  /** Others were let in meanwhile: the reader is ended cleanly at once, and asks again. */
  readonly #isRefused: boolean
  #lastSentMs: number

  constructor(
    context: ReadingContext,
    entity: Entity,
    id: StreamId,
    from: ReadStart,
    first: Slice | undefined,
    sink: FollowSink,
    options: FollowOptions,
  ) {
    this.#context = context
    this.#entity = entity
    this.#id = id
    this.#from = from
    this.#first = first
    this.#sink = sink
    this.#options = options
    const nowMs = context.deadlines.elapsedMs()
    this.#endsAtMs = options.lifetimeMs === 0 ? Number.POSITIVE_INFINITY : nowMs + options.lifetimeMs
    this.#lastSentMs = nowMs
    this.#isRefused = context.live.refusal(entity) !== undefined
    context.live.enter(entity, this)
    this.#scheduleNext()
  }

  /** Delivers what is there and then parks; also called when a blocked sink can take more. */
  resume(): void {
    if (this.#state === 'idle') this.#begin()
    else if (this.#state === 'blocked') this.#goOnLater()
  }

  /** The reader is gone: nothing more is delivered, not even an end. */
  stop(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#unpark()
    if (this.#slot) this.#context.deadlines.cancel(this.#slot, this)
    this.#context.live.leave(this.#entity, this)
    this.#context.table.unpin(this.#entity)
  }

  /** Ends the reader from this side. */
  shutDown(): void {
    this.#end('shutdown')
  }

  wake(): void {
    if (this.#state !== 'parked') return
    this.#unpark()
    this.#run()
  }

  expire(): void {
    if (this.#state === 'ended') return
    const nowMs = this.#context.deadlines.elapsedMs()
    if (nowMs >= this.#endsAtMs) {
      // Between events only: a step that is being read is delivered first, then the lifetime is noticed.
      if (this.#state !== 'reading') this.#end('lifetime')
      return
    }
    const isQuiet = this.#options.heartbeatMs > 0 && nowMs >= this.#lastSentMs + this.#options.heartbeatMs
    if (isQuiet) {
      this.#lastSentMs = nowMs
      // A blocked reader has bytes to come anyway, and would not see this one sooner.
      if (this.#state === 'parked') this.#sink.heartbeat()
    }
    this.#scheduleNext()
  }

  #begin(): void {
    if (this.#isRefused) {
      this.#end('lifetime')
      return
    }
    try {
      const loading = this.#context.table.load([this.#entity])
      if (loading === undefined) this.#runSteps()
      else this.#runAfter(loading)
    } catch (error) {
      this.#end('failed', error)
    }
  }

  #runAfter(loading: Promise<void>): void {
    this.#state = 'reading'
    loading.then(
      () => {
        if (this.#isStill('reading')) this.#run()
      },
      (error) => this.#end('failed', error),
    )
  }

  #run(): void {
    try {
      this.#runSteps()
    } catch (error) {
      this.#end('failed', error)
    }
  }

  #runSteps(): void {
    for (;;) {
      this.#state = 'reading'
      const step = this.#firstStep() ?? takeStep(this.#context, this.#entity, this.#nextRequest())
      if (step instanceof Promise) {
        step.then(
          (taken) => {
            if (this.#isStill('reading') && this.#take(taken)) this.#run()
          },
          (error) => this.#end('failed', error),
        )
        return
      }
      if (!this.#take(step)) return
    }
  }

  #nextRequest(): StepRequest {
    const { followChunkBytes } = this.#context.limits
    return { start: this.#from, chunkBytes: followChunkBytes, id: this.#id }
  }

  #firstStep(): Step | undefined {
    const first = this.#first
    this.#first = undefined
    return first !== undefined && first.state === this.#entity.durable
      ? { kind: 'slice', slice: first }
      : undefined
  }

  /** Handles one step; true if there may be another one right now. */
  #take(step: Step): boolean {
    if (step.kind === 'rejected') {
      this.#end('removed')
      return false
    }
    if (step.kind === 'slice') return this.#deliver(step.slice)
    const { state } = step
    this.#from = { kind: 'position', position: state.tail }
    if (state.closed || !this.#isAnnounced) return this.#deliver(tailSlice(state))
    if (this.#context.live.isClosed) {
      this.#end('shutdown')
      return false
    }
    this.#state = 'parked'
    this.#parkedIn = park(this.#entity, this)
    return false
  }

  #deliver(slice: Slice): boolean {
    this.#isAnnounced = true
    this.#from = { kind: 'position', position: slice.to }
    const nowMs = this.#context.deadlines.elapsedMs()
    this.#lastSentMs = nowMs
    const takesMore = this.#sink.deliver(slice)
    if (!this.#isStill('reading')) return false
    if (slice.state.closed && slice.to === slice.state.tail) {
      this.#end('closed')
      return false
    }
    if (nowMs >= this.#endsAtMs) {
      this.#end('lifetime')
      return false
    }
    if (!takesMore) this.#state = 'blocked'
    else if (slice.to < slice.state.tail) {
      this.#goOnLater()
      return false
    }
    return takesMore
  }

  /**
   * Who is far behind takes turns with everybody else: a sink may want more at once, and again at once, until it has
   * all of the stream. Those at the same place share what is encoded.
   */
  #goOnLater(): void {
    this.#state = 'reading'
    this.#context.defer(() => {
      if (this.#isStill('reading')) this.#run()
    })
  }

  #isStill(state: 'reading'): boolean {
    return this.#state === state
  }

  #end(why: 'closed' | 'removed' | 'lifetime' | 'shutdown' | 'failed', error?: unknown): void {
    if (this.#state === 'ended') return
    this.stop()
    this.#sink.end(why, error)
  }

  #unpark(): void {
    this.#parkedIn?.delete(this)
    this.#parkedIn = undefined
  }

  /** One deadline at a time: the next heartbeat or the end of the lifetime, whichever comes first. */
  #scheduleNext(): void {
    const { heartbeatMs } = this.#options
    const beatAtMs = heartbeatMs === 0 ? Number.POSITIVE_INFINITY : this.#lastSentMs + heartbeatMs
    const atMs = Math.min(this.#endsAtMs, beatAtMs)
    if (atMs === Number.POSITIVE_INFINITY) return
    this.#slot = this.#context.deadlines.schedule(atMs - this.#context.deadlines.elapsedMs(), this)
  }
}
