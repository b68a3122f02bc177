/** Clients that do not wait for each other, and what they may have seen when everything is over. */
import type { Outcome, Slice } from '@millrace/protocol'
import type { ReadResult } from './engine.ts'
import { Call, inShort, type Poll, RecordingSink, textOf, ttl, World } from './engine-world.fixture.ts'
import { promisesSettled } from './manual-clock.fixture.ts'
import { type Incarnation, StreamRecord } from './recording-store.fixture.ts'
import type { CommitFate } from './scripted-storage.fixture.ts'

/** What happens next: somebody asks for something, or something that waits may go on. */
export type Move =
  | {
      readonly do: 'create'
      readonly name: string
      readonly ttlSeconds: number | undefined
      readonly body: boolean
    }
  | { readonly do: 'fork'; readonly name: string; readonly from: string }
  | {
      readonly do: 'append'
      readonly name: string
      readonly producer: readonly [string, number, number] | undefined
      readonly closes: boolean
    }
  | { readonly do: 'close' | 'remove' | 'read' | 'poll' | 'follow'; readonly name: string }
  | { readonly do: 'block' | 'resume' | 'stop' | 'abort' | 'promises'; readonly which: number }
  | { readonly do: 'commits' | 'answers' | 'reads' | 'loads' | 'turn' | 'settle' }
  | { readonly do: 'pass'; readonly ms: number }

interface Asked<T> {
  readonly what: Move
  readonly call: Call<T>
  readonly askedAt: number
  /** When the answer was there; infinity if it never was. */
  answeredAt: number
}

interface Written extends Asked<Outcome> {
  /** What the append adds, in stored form: no two appends add the same. */
  readonly text: string
}

const TYPES: Readonly<Record<string, string>> = {
  a: 'text/plain',
  b: 'application/json',
  c: 'text/plain',
  d: 'text/plain',
}

/**
 * Answers to a producer whose append counted although the store could not say so: it finds the append, or what others
 * did since: they closed or deleted the stream, or took the producer over.
 */
const AFTER_DOUBT: ReadonlySet<string> = new Set([
  'duplicate',
  'rejected: stream-closed',
  'rejected: not-found',
  'rejected: gone',
  'rejected: producer-fenced',
])

/** One run: makes the moves, lets everything come to its end, and then says what was wrong. */
export class ConcurrentClients {
  readonly record: StreamRecord = new StreamRecord()
  readonly world: World
  readonly #writes: Written[] = []
  readonly #changes: Asked<Outcome>[] = []
  readonly #reads: Asked<ReadResult>[] = []
  readonly #polls: (Asked<unknown> & { readonly call: Poll })[] = []
  readonly #followers: { readonly name: string; readonly sink: RecordingSink; isStopped: boolean }[] = []
  readonly #isFaulty: boolean
  #count = 0

  constructor(fates: readonly CommitFate[]) {
    const coming = [...fates]
    this.#isFaulty = fates.length > 0
    this.world = new World({
      inner: this.record.storage,
      fateOf: () => coming.shift() ?? 'apply',
      limits: { chunkBytes: 16, followChunkBytes: 8, maxIdleStreams: 2, wakesPerTurn: 2 },
    })
    const { commits, answers, reads, loads } = this.world.storage
    for (const gate of [commits, answers, reads, loads]) gate.shut()
  }

  async run(moves: readonly Move[]): Promise<void> {
    for (const move of moves) {
      this.record.step++
      await this.#make(move)
      this.#noteAnswers()
    }
    await this.#finish()
  }

  async #make(move: Move): Promise<void> {
    const { world } = this
    switch (move.do) {
      case 'commits':
      case 'answers':
      case 'reads':
      case 'loads':
        return world.storage[move.do].letGo()
      case 'turn':
        world.clock.endTurn()
        return
      case 'settle':
        return promisesSettled()
      case 'promises':
        for (let i = 0; i < move.which; i++) await Promise.resolve()
        return
      case 'pass':
        return world.clock.pass(move.ms)
      case 'block':
      case 'resume':
      case 'stop':
      case 'abort':
        return this.#disturb(move.do, move.which)
      default:
        return this.#ask(move)
    }
  }

  #ask(move: Extract<Move, { readonly name: string }>): void {
    const { world } = this
    const type = TYPES[move.name] ?? 'text/plain'
    switch (move.do) {
      case 'create': {
        const { ttlSeconds, name } = move
        const expiry = ttlSeconds === undefined ? {} : { expiry: ttl(ttlSeconds) }
        this.#change(move, world.create(name, { type, ...expiry, ...(move.body && { body: '0' }) }))
        return
      }
      case 'fork':
        this.#change(move, world.create(move.name, { fork: { from: move.from } }))
        return
      case 'append':
        this.#append(move)
        return
      case 'close':
        this.#change(move, world.close(move.name))
        return
      case 'remove':
        this.#change(move, world.remove(move.name))
        return
      case 'read':
        this.#reads.push(this.#asked(move, new Call(world.read(move.name))))
        return
      case 'poll': {
        const poll = world.poll(move.name, this.#count++ % 2 === 0 ? 0 : 'now', 5000)
        this.#polls.push({ ...this.#asked(move, poll), call: poll })
        return
      }
      case 'follow':
        this.#follow(move.name)
    }
  }

  #append(move: Extract<Move, { readonly do: 'append' }>): void {
    const number = String(1_000_000 + this.#count++)
    const type = TYPES[move.name] ?? 'text/plain'
    const text = type === 'application/json' ? `${number},\n` : `<${number}>`
    const { producer, closes } = move
    const sent = type === 'application/json' ? number : text
    const call = new Call(this.world.append(move.name, sent, { closes, type, ...(producer && { producer }) }))
    this.#writes.push({ ...this.#asked(move, call), text })
  }

  #follow(name: string): void {
    const sink = new RecordingSink()
    const follower = { name, sink, isStopped: false }
    this.#followers.push(follower)
    const begun = this.world.engine
      .follow(this.world.creation(name).path, { kind: 'beginning' })
      .then((result) => {
        if (result.kind === 'rejected') {
          follower.isStopped = true
          return
        }
        sink.follower = result.begin(sink, { lifetimeMs: 0, heartbeatMs: 0 })
        sink.follower.resume()
      })
    new Call(begun)
  }

  #disturb(how: 'block' | 'resume' | 'stop' | 'abort', which: number): void {
    if (how === 'abort') {
      this.#polls[which % (this.#polls.length || 1)]?.call.abort()
      return
    }
    const follower = this.#followers[which % (this.#followers.length || 1)]
    if (follower?.sink.follower === undefined) return
    if (how === 'stop') {
      follower.isStopped = true
      follower.sink.follower.stop()
      return
    }
    follower.sink.takesMore = how === 'resume'
    if (how === 'resume') follower.sink.follower.resume()
  }

  #asked<T>(what: Move, call: Call<T>): Asked<T> {
    return { what, call, askedAt: this.record.step, answeredAt: Number.POSITIVE_INFINITY }
  }

  #change(what: Move, promise: Promise<Outcome>): void {
    this.#changes.push(this.#asked(what, new Call(promise)))
  }

  #noteAnswers(): void {
    for (const asked of [...this.#writes, ...this.#changes]) {
      if (asked.call.isDone) asked.answeredAt = Math.min(asked.answeredAt, this.record.step)
    }
  }

  /** Everything that waits goes on, each stream is looked at once more, and who was held up takes what there is. */
  async #finish(): Promise<void> {
    this.record.step++
    const { commits, answers, reads, loads } = this.world.storage
    for (const gate of [commits, answers, reads, loads]) gate.open()
    await this.world.settle()
    for (const name of Object.keys(TYPES)) await this.world.done(this.world.head(name))
    for (const { sink } of this.#followers) {
      sink.takesMore = true
      sink.follower?.resume()
    }
    await this.world.settle()
    this.#noteAnswers()
  }

  /** Everything that must not be; empty if all is well. */
  violations(): readonly string[] {
    const found = [...this.record.violations]
    if (!this.#isFaulty && this.record.conflicts > 0) found.push('the only writer met a conflict')
    for (const written of this.#writes) found.push(...this.#wrongWith(written))
    found.push(...this.#wrongOrder(), ...this.#wrongReads(), ...this.#wrongFollowers(), ...this.#leftOver())
    return found
  }

  #wrongWith({ call, text, what }: Written): readonly string[] {
    const holders = this.record.holdersOf(text)
    const times = `${text.trim()} is there ${holders.length} times`
    if (!call.isDone) return [`${text} was never answered`]
    if (call.result === undefined) return holders.length <= 1 ? [] : [times]
    const { result } = call
    if (result.kind === 'appended') {
      const isThere =
        holders.length === 1 && holders[0]?.appends.some((one) => one.text === text && one.to === result.tail)
      return isThere ? [] : [`${times}, and was to end at ${result.tail}`]
    }
    const may = this.#isFaulty && AFTER_DOUBT.has(inShort(result)) ? 1 : 0
    const found = holders.length <= may ? [] : [`${times}, but the answer was ${inShort(result)}`]
    if (result.kind === 'duplicate' && !this.#wasAccepted(what)) found.push(`${text} repeats nothing`)
    return found
  }

  /** Whether the stream has taken this producer's seq, or a later one. */
  #wasAccepted(what: Move): boolean {
    const stamp = what.do === 'append' ? what.producer : undefined
    if (stamp === undefined || what.do !== 'append') return false
    const [id, epoch, seq] = stamp
    return [...this.record.incarnations.values()].some(({ path, appends }) => {
      const matches = ({ producer }: Incarnation['appends'][number]): boolean =>
        producer?.id === id && producer.epoch === epoch && producer.seq >= seq
      return path === what.name && appends.some(matches)
    })
  }

  /** What was asked for after an answer comes after it. */
  #wrongOrder(): readonly string[] {
    const accepted = this.#writes.filter(({ call }) => call.result?.kind === 'appended')
    return accepted.flatMap((first) =>
      accepted.flatMap((second) => {
        if (second.askedAt <= first.answeredAt) return []
        const [one] = this.record.holdersOf(first.text)
        const [other] = this.record.holdersOf(second.text)
        if (one === undefined || one !== other) return []
        const isInOrder = one.text.indexOf(first.text) < one.text.indexOf(second.text)
        return isInOrder ? [] : [`${second.text} came before ${first.text}`]
      }),
    )
  }

  #wrongReads(): readonly string[] {
    const polled = this.#polls.flatMap(({ call }) =>
      call.result?.kind === 'slice' ? [call.result.slice] : [],
    )
    const found = polled.flatMap((slice) => this.#wrongSlice(slice))
    for (const { call, askedAt } of this.#reads) {
      if (call.result?.kind !== 'slice') continue
      const { slice } = call.result
      found.push(...this.#wrongSlice(slice), ...this.#outdated(slice, askedAt))
    }
    return found
  }

  #wrongSlice(slice: Slice): readonly string[] {
    const { state, from, to } = slice
    const truth = this.record.textOf(state.id)
    const found: string[] = []
    if (textOf(slice) !== truth.slice(from, to) || to > truth.length)
      found.push(`${state.id} ${from}-${to} is wrong`)
    const one = this.record.incarnations.get(state.id)
    const isWhole =
      state.tail === one?.from || one?.appends.some((append) => append.to === state.tail) === true
    if (!isWhole) found.push(`${state.id} was seen in the middle of an append, at ${state.tail}`)
    if (state.closed && state.tail !== truth.length) found.push(`${state.id} was closed before its end`)
    return found
  }

  /** An answered append is in every later read of its stream; a deleted stream is in none. */
  #outdated({ state }: Slice, askedAt: number): readonly string[] {
    const found: string[] = []
    for (const { call, text, answeredAt } of this.#writes) {
      if (answeredAt >= askedAt || call.result?.kind !== 'appended') continue
      const isHere = this.record.holdersOf(text)[0]?.id === state.id
      if (isHere && state.tail < call.result.tail) found.push(`a later read of ${state.id} misses ${text}`)
    }
    const madeAt = this.record.incarnations.get(state.id)?.madeAt ?? 0
    for (const { what, call, askedAt: removedFrom, answeredAt } of this.#changes) {
      if (what.do !== 'remove' || what.name !== state.path || call.result?.kind !== 'deleted') continue
      if (answeredAt < askedAt && madeAt < removedFrom)
        found.push(`a later read shows ${state.id}, which was deleted`)
    }
    return found
  }

  #wrongFollowers(): readonly string[] {
    return this.#followers.flatMap(({ sink, isStopped }) => {
      const found = sink.slices.flatMap((slice) => this.#wrongSlice(slice))
      const [first] = sink.slices
      let at = first?.from ?? 0
      for (const { from, to, state } of sink.slices) {
        if (from !== at || state.id !== first?.state.id) found.push(`a follower jumped from ${at} to ${from}`)
        at = to
      }
      const one = first && this.record.incarnations.get(first.state.id)
      if (one === undefined || isStopped) return found
      const isAtEnd = at === this.record.textOf(one.id).length
      if (sink.ended === undefined && !isAtEnd) found.push(`a follower of ${one.id} stands still at ${at}`)
      if (sink.ended === undefined && (one.isPurged || one.isClosed))
        found.push(`a follower outlives ${one.id}`)
      if (sink.ended === 'closed' && !(one.isClosed && isAtEnd)) found.push(`${one.id} was not at its end`)
      if (sink.ended === 'failed') found.push(`a follower failed: ${String(sink.error)}`)
      return found
    })
  }

  #leftOver(): readonly string[] {
    const { readers, pendingCommits } = this.world.engine.statistics()
    const polls = this.#polls.filter(({ call }) => !call.isDone).length
    const followers = this.#followers.filter(
      ({ sink, isStopped }) => !isStopped && sink.ended === undefined,
    ).length
    const found: string[] = []
    if (readers !== polls + followers)
      found.push(`${readers} readers, but ${polls} polls and ${followers} followers`)
    if (pendingCommits !== 0) found.push(`${pendingCommits} commits were left`)
    if (!this.#isFaulty) found.push(...this.world.faults.map(({ message }) => `fault: ${message}`))
    return found
  }
}
