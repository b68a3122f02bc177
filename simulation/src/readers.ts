/**
 * Readers: each follows one stream, by catch-up reads, long-polls and as SSE readers do, and goes on from its last
 * offset after every crash. None of them may hang, and nothing that one has seen may change.
 */
import type { Engine, Follower, FollowSink, LongPollResult, ReadResult } from '@millrace/engine'
import { parseOffset, type ReadStart, type Rejection, type Slice, type StreamState } from '@millrace/protocol'
import { check, type EventLog, Violation } from './event-log.ts'
import { PATHS } from './operation.ts'
import { ReaderSession } from './reader-session.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { StoreModel } from './store-model.ts'
import type { Tally } from './tally.ts'

/** What readers need of an engine. */
export type ReadPort = Pick<Engine, 'read' | 'poll' | 'follow'>

/** What readers work on. */
export interface ReaderWorld {
  readonly random: SeededRandom
  readonly log: EventLog
  readonly tally: Tally
  readonly model: StoreModel
  readonly readPort: ReadPort
  /** The store is being closed: reads under way may fail. */
  isStopping(): boolean
}

type Way = 'read' | 'poll' | 'follow'

/** A request under way. */
interface Live {
  readonly way: Way
  readonly path: ReaderSession['path']
  readonly start: ReadStart
  /** The stream when it was asked for. */
  readonly before: StreamState | undefined
  follower?: Follower
  isBlocked: boolean
  /** Ends a long-poll from the reader's side. */
  abort?: () => void
}

/** One reader. */
export class Reader {
  readonly name: string
  #session: ReaderSession | undefined
  #live: Live | undefined
  failure: unknown

  constructor(name: string) {
    this.name = name
  }

  /** A request is under way. */
  get isLive(): boolean {
    return this.#live !== undefined
  }

  /** The process that this reader talked to is no more. */
  crashed(): void {
    this.#live = undefined
  }

  /** The store has come back: what was seen must be there. */
  recovered(world: ReaderWorld, mayHaveLost: boolean): void {
    if (this.#session === undefined) return
    world.tally.add('readers', 'checked after a recovery')
    this.#session.recovered(world.model, mayHaveLost)
  }

  /** Does the next thing: asks, takes more, or goes away. */
  act(world: ReaderWorld): void {
    const { random } = world
    const live = this.#live
    if (live?.isBlocked === true) this.takeMore()
    else if (live !== undefined) {
      if (random.chance(0.1)) this.#leave(world, live)
    } else if (this.#session !== undefined && random.chance(0.1)) this.#readAgain(world, this.#session)
    else {
      if (random.chance(0.07)) this.#session = undefined
      this.#ask(world, random.pick(['read', 'poll', 'poll', 'follow', 'follow']), false)
    }
  }

  /** Follows to the end, taking everything at once; to be called when no more is written. */
  followToEnd(world: ReaderWorld): void {
    this.takeMore()
    if (this.#live === undefined) this.#ask(world, 'follow', true)
  }

  /** Goes on if it could take no more before. */
  takeMore(): void {
    const live = this.#live
    if (live === undefined || !live.isBlocked) return
    live.isBlocked = false
    live.follower?.resume()
  }

  /** Nothing is under way on the machine: a reader that still waits must be where nothing is to be had. */
  checkWaiting(world: ReaderWorld): void {
    const live = this.#live
    if (live === undefined || live.isBlocked) return
    const { way, path, start, before } = live
    const who = `${this.name}: a ${way} of ${path}`
    check(
      way !== 'read' && (way !== 'follow' || live.follower !== undefined),
      () => `${who} is never answered`,
    )
    const session = way === 'follow' ? this.#session : undefined
    const id = session?.id ?? before?.id
    const asked = start.kind === 'offset' ? start.position : start.kind === 'now' ? before?.tail : 0
    const position = session?.position ?? asked
    const now = world.model.streams.get(path)?.state
    check(now !== undefined && now.id === id && !now.softDeleted, () => `${who} hangs: the stream is no more`)
    check(now?.closed !== true, () => `${who} hangs at the end of the stream`)
    check(position === now?.tail, () => `${who} hangs at ${position}, but the tail is ${now?.tail}`)
    world.tally.add('readers', `found waiting at the tail by ${way}`)
  }

  #leave(world: ReaderWorld, live: Live): void {
    if (live.way === 'poll' && live.abort === undefined) return
    if (live.way === 'read' || (live.way === 'follow' && live.follower === undefined)) return
    world.log.add(`${this.name}: goes away`)
    this.#live = undefined
    live.follower?.stop()
    live.abort?.()
  }

  #ask(world: ReaderWorld, way: Way, isLast: boolean): void {
    const { random, model, readPort } = world
    const session = this.#session
    const path = session?.path ?? random.pick([...PATHS, ...model.streams.keys()])
    const start = session === undefined ? firstStart(random) : startAt(session)
    const live: Live = { way, path, start, before: model.streams.get(path)?.state, isBlocked: false }
    this.#live = live
    const from = session?.offset ?? start.kind
    world.log.add(`${this.name}: ${way} ${path} from ${from}`)
    world.tally.add(
      'reads',
      session === undefined ? `${way} from the ${start.kind}` : `${way} from an offset`,
    )
    if (way === 'read')
      this.#await(world, live, readPort.read(path, start), (result) => this.#answer(world, live, result))
    else if (way === 'poll') {
      const waitMs = random.pick([0, 60, 2000])
      const onAborted = (listener: () => void): void => {
        live.abort = listener
      }
      const polled = readPort.poll(path, start, { waitMs, onAborted })
      this.#await(world, live, polled, (result) => this.#answerPoll(world, live, result))
    } else this.#follow(world, live, isLast)
  }

  /** Takes an answer, unless a crash came first. */
  #await<T>(world: ReaderWorld, live: Live, answer: Promise<T>, take: (result: T) => void): void {
    answer.then(
      (result) => this.#heed(live, () => take(result)),
      (error: unknown) => this.#heed(live, () => this.#fail(world, live, error)),
    )
  }

  #heed(live: Live, take: () => void): void {
    if (this.#live !== live) return
    try {
      take()
    } catch (error) {
      this.failure ??= error
    }
  }

  #fail(world: ReaderWorld, live: Live, error: unknown): void {
    this.#live = undefined
    if (!world.isStopping()) throw error
    world.log.add(`${this.name}: ${live.way} failed in the stop: ${String(error)}`)
  }

  #answerPoll(world: ReaderWorld, live: Live, result: LongPollResult): void {
    check(result.kind !== 'aborted', () => `${this.name}: a poll was ended that nobody left`)
    if (result.kind === 'aborted') return
    if (result.kind === 'slice' && result.slice.from === result.slice.to && !result.slice.state.closed) {
      const { state, to } = result.slice
      const now = world.model.streams.get(live.path)?.state
      const isUpToDate = now?.id !== state.id || now.tail === to
      check(isUpToDate, () => `${this.name}: a poll of ${live.path} ends at ${to} without what follows`)
    }
    this.#answer(world, live, result)
  }

  #answer(world: ReaderWorld, live: Live, result: ReadResult): void {
    this.#live = undefined
    if (result.kind === 'slice') this.#take(world, live, result.slice)
    else this.#refused(world, live, result.rejection)
  }

  #follow(world: ReaderWorld, live: Live, isLast: boolean): void {
    const { random } = world
    const options = isLast
      ? { lifetimeMs: 0, heartbeatMs: 0 }
      : { lifetimeMs: random.pick([0, 0, 700]), heartbeatMs: random.pick([0, 100]) }
    this.#await(world, live, world.readPort.follow(live.path, live.start), (result) => {
      if (result.kind === 'rejected') {
        this.#live = undefined
        this.#refused(world, live, result.rejection)
        return
      }
      live.follower = result.begin(this.#sink(world, live, isLast), options)
      live.follower.resume()
    })
  }

  #sink(world: ReaderWorld, live: Live, isLast: boolean): FollowSink {
    return {
      deliver: (slice) => {
        this.#heed(live, () => this.#take(world, live, slice))
        if (this.#live !== live) return false
        live.isBlocked = !isLast && world.random.chance(0.2)
        return !live.isBlocked
      },
      heartbeat: () => undefined,
      end: (why, error) => this.#heed(live, () => this.#ended(world, live, why, error)),
    }
  }

  #ended(world: ReaderWorld, live: Live, why: Parameters<FollowSink['end']>[0], error: unknown): void {
    this.#live = undefined
    world.log.add(`${this.name}: follow ends: ${why}`)
    world.tally.add('readers', `ended: ${why}`)
    if (why === 'failed') this.#fail(world, live, error)
    if (why === 'closed')
      check(this.#session?.isAtEnd === true, () => `${this.name}: the end comes before the last byte`)
    if (why === 'removed') this.#removed(world, live)
    if (why === 'shutdown') check(world.isStopping(), () => `${this.name}: is shut down for no reason`)
  }

  #take(world: ReaderWorld, live: Live, slice: Slice): void {
    const { model, log, tally } = world
    const { state, from, to } = slice
    const { path, before, start } = live
    if (before?.id === state.id) {
      const least = before.tail
      check(
        state.tail >= least,
        () => `${this.name} sees ${path} to ${state.tail}; ${least} was acknowledged before`,
      )
    }
    if (this.#session !== undefined && this.#session.id !== state.id) {
      const { id } = this.#session
      check(model.streams.get(path)?.state.id !== id, () => `${this.name} gets ${state.id} in place of ${id}`)
      this.#session = undefined
    }
    if (this.#session === undefined) {
      check(start.kind !== 'beginning' || from === 0, () => `${this.name}: ${path} begins at ${from}`)
      this.#session = new ReaderSession(state, from)
    }
    this.#session.take(slice, model)
    log.add(`${this.name}: has ${state.id} to ${to} of ${state.tail}${state.closed ? ', closed' : ''}`)
    tally.add('readers', from === to ? 'told that nothing is new' : 'given bytes')
    if (this.#session.isAtEnd) tally.add('readers', 'told the end')
  }

  #refused(world: ReaderWorld, live: Live, rejection: Rejection): void {
    world.log.add(`${this.name}: ${live.way} is rejected: ${rejection.kind}`)
    world.tally.add('readers', `rejected: ${rejection.kind}`)
    const session = this.#session
    if (rejection.kind === 'not-found' || rejection.kind === 'gone') {
      this.#removed(world, live)
      return
    }
    const isSame =
      session !== undefined && [live.before?.id, idNow(world, live)].every((id) => id === session.id)
    if (rejection.kind === 'offset-lost' && session !== undefined) {
      session.rewind(rejection.resumeAt, isSame)
      return
    }
    const isExcused = rejection.kind === 'invalid-offset' && session !== undefined && !isSame
    check(
      isExcused,
      () => `${this.name}: ${live.path} at ${session?.offset} is rejected: ${JSON.stringify(rejection)}`,
    )
    this.#session = undefined
  }

  /** The stream is no more. That is so if it was removed or has expired. */
  #removed(world: ReaderWorld, live: Live): void {
    const { before, path } = live
    const now = world.model.streams.get(path)?.state
    const isSteady =
      before !== undefined && now?.id === before.id && !now.softDeleted && now.expiry.kind === 'never'
    check(!isSteady, () => `${this.name}: ${path} is not found, but there`)
    this.#session = undefined
  }

  /** What it has seen, read again from where it began. */
  #readAgain(world: ReaderWorld, session: ReaderSession): void {
    const { path, from } = session
    const start: ReadStart = { kind: 'position', position: from }
    const live: Live = {
      way: 'read',
      path,
      start,
      before: world.model.streams.get(path)?.state,
      isBlocked: false,
    }
    this.#live = live
    world.log.add(`${this.name}: read ${path} again from ${from}`)
    world.tally.add('reads', 'read again')
    this.#await(world, live, world.readPort.read(path, start), (result) => {
      this.#live = undefined
      if (result.kind === 'slice') session.compare(result.slice)
    })
  }
}

function idNow({ model }: ReaderWorld, { path }: Live): StreamState['id'] | undefined {
  return model.streams.get(path)?.state.id
}

function firstStart(random: SeededRandom): ReadStart {
  return random.chance(0.7) ? { kind: 'beginning' } : { kind: 'now' }
}

function startAt({ offset }: ReaderSession): ReadStart {
  const parsed = parseOffset(offset)
  if (parsed.kind !== 'offset') throw new Violation(`${offset} was handed out as an offset`)
  return parsed
}
