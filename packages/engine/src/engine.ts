/**
 * The engine: runs the rules of `@millrace/protocol` on a storage backend. It knows ports only: no HTTP, no
 * backend by name, no clock of its own.
 */
import {
  type AppendCommand,
  type CreateCommand,
  decideAppend,
  decideCreate,
  decideRemove,
  type ForkPoint,
  type ForkRequest,
  isExpired,
  livenessOf,
  missing,
  type Outcome,
  type ReadStart,
  type Rejection,
  type Rules,
  type Slice,
  type StreamPath,
  type StreamState,
  streamId,
  tailSlice,
} from '@millrace/protocol'
import type { Clock } from './clock.ts'
import { Deadlines } from './deadlines.ts'
import type { Entity } from './entity.ts'
import { EntityTable } from './entity-table.ts'
import type { Eventual } from './eventual.ts'
import { Fault, toFault } from './fault.ts'
import { Follower, type FollowOptions, type FollowSink } from './follower.ts'
import { findForkPoint } from './fork-finder.ts'
import { GroupCommit } from './group-commit.ts'
import { DEFAULT_ENGINE_LIMITS, type EngineLimits } from './limits.ts'
import { type LongPollResult, longPoll, type WaitOptions } from './long-poll.ts'
import { isLimited, NO_USAGE, Quota } from './quota.ts'
import { LiveReaders, type ReadingContext, type Step, takeStep } from './reading.ts'
import type { StreamStorage, StreamSummary, Usage } from './storage.ts'
import { StreamWriter } from './stream-writer.ts'
import { Sweeper } from './sweeper.ts'
import { WakeUps } from './wake-ups.ts'

/** What an engine runs on. */
export interface EngineOptions {
  readonly storage: StreamStorage
  readonly clock: Clock
  readonly limits?: Partial<EngineLimits>
  /** What the store holds already; nothing unless given. Needed where `maxStreams` or `maxTotalBytes` is given. */
  readonly usage?: Usage
  /** How long a producer is remembered without use where the store is not durable; 7 days. */
  readonly producerIdleMs?: number
  /** How often expired streams are looked for. */
  readonly sweepIntervalMs?: number
  /** Where failures of background work go. */
  readonly onFault: (fault: Fault) => void
}

/** Numbers about an engine at this moment. */
export interface EngineStatistics {
  /** Live readers, parked or not. */
  readonly readers: number
  /** Streams in memory. */
  readonly entities: number
  /** Deadlines being waited for, the sweep's own included. */
  readonly deadlines: number
  readonly pendingCommits: number
}

/** One slice, or no. */
export type ReadResult =
  | { readonly kind: 'slice'; readonly slice: Slice }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }

/** The state of a live stream, or no. */
export type HeadResult =
  | { readonly kind: 'found'; readonly state: StreamState }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }

/** A stream that can be followed; `begin` starts delivery. */
export type FollowResult =
  | {
      readonly kind: 'following'
      readonly state: StreamState
      begin(sink: FollowSink, options: FollowOptions): Follower
    }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }

const SWEEP_INTERVAL_MS = 500
const WEEK_MS = 7 * 24 * 3600 * 1000

/** All operations on streams. Every method may be called at any time, in any number. */
export class Engine {
  readonly #storage: StreamStorage
  readonly #clock: Clock
  readonly #table: EntityTable
  readonly #commits: GroupCommit
  readonly #writer: StreamWriter
  readonly #sweeper: Sweeper
  readonly #reading: ReadingContext
  readonly #rules: Rules
  readonly #limits: EngineLimits
  #lastMs = 0

  constructor(options: EngineOptions) {
    const { storage, clock } = options
    const limits = { ...DEFAULT_ENGINE_LIMITS, ...options.limits }
    const nowMs = (): number => this.#nowMs()
    const deadlines = new Deadlines(clock)
    const wakeUps = new WakeUps(clock, limits.wakesPerTurn)
    this.#storage = storage
    this.#clock = clock
    this.#limits = limits
    this.#rules = {
      producerIdleMs: storage.traits.durable ? undefined : (options.producerIdleMs ?? WEEK_MS),
      generation: storage.generation,
      maxStreamBytes: limits.maxStreamBytes,
      maxProducers: limits.maxProducersPerStream,
    }
    this.#table = new EntityTable(storage, limits.maxIdleStreams, (entity) => wakeUps.moved(entity))
    this.#commits = new GroupCommit(storage, clock)
    const quota = isLimited(limits) ? new Quota(limits, options.usage ?? NO_USAGE) : undefined
    this.#writer = new StreamWriter(this.#table, this.#commits, wakeUps, storage, limits, quota, nowMs)
    const live = new LiveReaders(limits, (entity) => {
      // A reader is let go even if the store cannot note it; the stream may expire earlier, or has a fault anyway.
      try {
        this.#writer.touch(entity, this.#nowMs())
      } catch (error) {
        options.onFault(toFault(error))
      }
    })
    const keepAlive = (entity: Entity): void => this.#writer.keepAlive(entity, this.#nowMs())
    const defer = clock.defer.bind(clock)
    this.#reading = { table: this.#table, storage, limits, deadlines, live, nowMs, defer, keepAlive }
    this.#sweeper = new Sweeper(storage, deadlines, limits, {
      nowMs,
      remove: (path) => this.#remove(path, 'expired'),
      onFault: options.onFault,
      intervalMs: options.sweepIntervalMs ?? SWEEP_INTERVAL_MS,
    })
  }

  /** PUT: creates a stream, plain or forked, or finds it as described. */
  async create(command: CreateCommand): Promise<Outcome> {
    const { path, fork } = command
    let decisions = 0
    for (let attempt = 1; attempt <= this.#limits.maxAttempts; attempt++) {
      await this.#clearExpired(path)
      const point = fork && (await this.#forkPoint(fork))
      const verdict = await this.#writer.run({
        paths: fork === undefined ? [path] : uniquePaths([path, fork.sourcePath]),
        repeatable: 'always',
        renewsOnRepeat: false,
        decide: (view, nowMs) =>
          decideCreate(view, withFreshId(command, decisions++), point, nowMs, this.#rules),
      })
      if (verdict.kind !== 'stale') return verdict
    }
    throw new Fault('unavailable', 'The source of the fork kept changing.')
  }

  /** POST: appends, closes, or both, as one commit. Resolves when that is as durable as the store promises. */
  async append(command: AppendCommand): Promise<Outcome> {
    const verdict = await this.#writer.run({
      paths: [command.path],
      repeatable: command.producer === undefined ? 'never' : 'on-same-stream',
      renewsOnRepeat: true,
      decide: (view, nowMs) => decideAppend(view.stream(command.path), command, nowMs, this.#rules),
    })
    if (verdict.kind === 'stale') throw new Error('an append cannot be stale')
    return verdict
  }

  /** DELETE: the stream is gone for every request that starts after this resolves. */
  remove(path: StreamPath): Promise<Outcome> {
    return this.#remove(path, 'deleted')
  }

  /** HEAD: never renews a sliding window. */
  head(path: StreamPath): Promise<HeadResult> {
    return this.#withLoaded(path, (entity): HeadResult => {
      const nowMs = this.#nowMs()
      this.#writer.keepAlive(entity, nowMs)
      const liveness = livenessOf(entity.durable, nowMs)
      if (liveness.kind !== 'live') return { kind: 'rejected', rejection: missing(liveness) }
      return { kind: 'found', state: liveness.state }
    })
  }

  /** Catch-up: one slice from a position on. */
  read(path: StreamPath, start: ReadStart): Promise<ReadResult> {
    return this.#withLoaded(path, async (entity): Promise<ReadResult> => {
      const step = await this.#firstStep(entity, start)
      return step.kind === 'at-tail' ? { kind: 'slice', slice: tailSlice(step.state) } : step
    })
  }

  /** Long-poll: one slice from a position on, as soon as there is one. */
  poll(path: StreamPath, start: ReadStart, options: WaitOptions): Promise<LongPollResult> {
    return this.#withLoaded(path, async (entity): Promise<LongPollResult> => {
      const step = await this.#firstStep(entity, start)
      if (step.kind !== 'at-tail') return step
      return longPoll(this.#reading, entity, step.state, options)
    })
  }

  /** SSE: finds out whether a stream can be followed from a position; delivery starts with `begin`. */
  follow(path: StreamPath, start: ReadStart): Promise<FollowResult> {
    return this.#withLoaded(path, async (entity): Promise<FollowResult> => {
      const step = await this.#firstStep(entity, start, this.#limits.followChunkBytes)
      if (step.kind === 'rejected') return step
      const refusal = this.#reading.live.refusal(entity)
      if (refusal) return { kind: 'rejected', rejection: refusal }
      const state = step.kind === 'slice' ? step.slice.state : step.state
      const position = step.kind === 'slice' ? step.slice.from : state.tail
      const from: ReadStart = { kind: 'position', position }
      const first = step.kind === 'slice' ? step.slice : undefined
      return {
        kind: 'following',
        state,
        begin: (sink, options) =>
          new Follower(this.#reading, this.#table.pin(path), state.id, from, first, sink, options),
      }
    })
  }

  /** Streams whose path starts with a prefix, in bytewise order of the path, after a given one. */
  list(prefix: string, after: StreamPath | undefined, limit: number): Eventual<readonly StreamSummary[]> {
    return this.#storage.list(prefix, after, limit)
  }

  /** Numbers for health checks, metrics and tests. */
  statistics(): EngineStatistics {
    return {
      readers: this.#reading.live.count,
      entities: this.#table.size,
      deadlines: this.#reading.deadlines.size,
      pendingCommits: this.#commits.pendingCommits,
    }
  }

  /** Why writes are refused for good, as a sentence for operators; `undefined` while all is well. */
  refusesWrites(): string | undefined {
    return this.#storage.refusesWrites?.()
  }

  /** Ends all live readers; new ones do not wait any more. Writes and plain reads go on until `close`. */
  endLiveReaders(): void {
    this.#reading.live.close()
  }

  /** Ends live readers, finishes the commits under way, and closes the store. */
  async close(): Promise<void> {
    this.endLiveReaders()
    this.#sweeper.stop()
    await this.#commits.whenIdle()
    this.#reading.deadlines.close()
    await this.#storage.close()
  }

  async #remove(path: StreamPath, because: 'deleted' | 'expired'): Promise<Outcome> {
    for (let attempt = 1; attempt <= this.#limits.maxAttempts; attempt++) {
      const ancestors = await this.#withLoaded(path, (entity) => entity.decided?.fork?.ancestors ?? [])
      const paths = uniquePaths([path, ...ancestors])
      const verdict = await this.#writer.run({
        paths,
        repeatable: 'never',
        renewsOnRepeat: false,
        decide: (view, nowMs) => {
          const needed = view.stream(path)?.fork?.ancestors ?? []
          if (needed.some((ancestor) => !paths.includes(ancestor))) return { kind: 'stale' }
          return decideRemove(view, { kind: 'remove', path, because }, nowMs)
        },
      })
      if (verdict.kind !== 'stale') return verdict
    }
    throw new Fault('unavailable', 'The stream kept changing.')
  }

  /** A path whose stream has expired is freed before it is used again. */
  async #clearExpired(path: StreamPath): Promise<void> {
    const isOver = await this.#withLoaded(path, (entity) => {
      const nowMs = this.#nowMs()
      this.#writer.keepAlive(entity, nowMs)
      return entity.decided !== undefined && isExpired(entity.decided, nowMs)
    })
    if (isOver) await this.#remove(path, 'expired')
  }

  async #forkPoint(fork: ForkRequest): Promise<ForkPoint | undefined> {
    return this.#withLoaded(fork.sourcePath, async (entity) => {
      await entity.inFlight?.outcome()
      if (entity.durable === undefined) return undefined
      // A source that goes while it is looked at is found missing, or another one, by the decision.
      return findForkPoint(this.#storage, entity.durable, fork).catch(undefinedIfRemoved)
    })
  }

  /** A read renews the sliding window, whatever it finds; a refused one does not (12.2). */
  async #firstStep(
    entity: Entity,
    start: ReadStart,
    chunkBytes: number = this.#limits.chunkBytes,
  ): Promise<Step> {
    const step = await takeStep(this.#reading, entity, { start, chunkBytes, id: undefined })
    if (step.kind !== 'rejected') this.#writer.touch(entity, this.#nowMs())
    return step
  }

  async #withLoaded<T>(path: StreamPath, use: (entity: Entity) => Eventual<T>): Promise<T> {
    const entity = this.#table.pin(path)
    try {
      while (!entity.loaded) await this.#table.load([entity])
      return await use(entity)
    } finally {
      this.#table.unpin(entity)
    }
  }

  /** The clock, but never going back: commit times of a stream do not decrease. */
  #nowMs(): number {
    this.#lastMs = Math.max(this.#lastMs, this.#clock.nowMs())
    return this.#lastMs
  }
}

/** An id is decided on once: if that commit counted after all, no second stream may carry it. */
function withFreshId(command: CreateCommand, earlierDecisions: number): CreateCommand {
  if (earlierDecisions === 0) return command
  return { ...command, id: streamId(`${command.id}-${earlierDecisions}`) }
}

function undefinedIfRemoved(error: unknown): undefined {
  if (!(error instanceof Fault) || error.code !== 'removed') throw error
}

function uniquePaths(paths: readonly StreamPath[]): readonly StreamPath[] {
  return [...new Set(paths)]
}
