/** An engine with everything around it under control: clock, turns, storage, clients. */
import {
  type AppendCommand,
  type CreateCommand,
  type Expiry,
  encodeJsonMessages,
  joined,
  type Outcome,
  type Payload,
  type ProducerStamp,
  type ReadStart,
  type Slice,
  type StreamPath,
  streamId,
} from '@millrace/protocol'
import { pathOf } from './contract-stream.ts'
import { Engine, type EngineOptions, type HeadResult, type ReadResult } from './engine.ts'
import type { Fault } from './fault.ts'
import type { Follower, FollowOptions, FollowSink } from './follower.ts'
import type { LongPollResult } from './long-poll.ts'
import { ManualClock, promisesSettled } from './manual-clock.fixture.ts'
import { ScriptedStorage, type StorageScript } from './scripted-storage.fixture.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A call under way, which can be looked at without waiting for it. */
export class Call<T> {
  result: T | undefined
  error: unknown
  isDone = false

  constructor(promise: Promise<T>) {
    promise.then(
      (result) => {
        this.result = result
        this.isDone = true
      },
      (error) => {
        this.error = error
        this.isDone = true
      },
    )
  }
}

/** What a test may say about a creation. */
export interface Creation {
  readonly type?: string
  readonly expiry?: Expiry
  readonly closed?: boolean
  readonly body?: string
  readonly id?: string
  readonly fork?: { readonly from: string; readonly at?: number; readonly sub?: number }
}

/** What a test may say about an append; `producer` is id, epoch and seq. */
export interface Writing {
  readonly closes?: boolean
  readonly producer?: readonly [id: string, epoch: number, seq: number]
  readonly seq?: string
  readonly type?: string
}

/** What a test may say about a world. */
export interface WorldOptions extends StorageScript {
  readonly limits?: EngineOptions['limits']
  readonly sweepIntervalMs?: number
}

/** A long-poll under way. */
export class Poll extends Call<LongPollResult> {
  readonly #abort: { now?: () => void }

  constructor(promise: Promise<LongPollResult>, abort: { now?: () => void }) {
    super(promise)
    this.#abort = abort
  }

  /** The client goes away. */
  abort(): void {
    this.#abort.now?.()
  }
}

/** An SSE client that notes all it gets, and takes as much as the test lets it. */
export class RecordingSink implements FollowSink {
  readonly slices: Slice[] = []
  heartbeats = 0
  ended: string | undefined
  error: unknown
  takesMore = true
  follower: Follower | undefined

  deliver(slice: Slice): boolean {
    this.slices.push(slice)
    return this.takesMore
  }

  heartbeat(): void {
    this.heartbeats++
  }

  end(why: string, error?: unknown): void {
    this.ended = this.ended === undefined ? why : `${this.ended}, then ${why}`
    this.error = error
  }

  /** Everything that came, as text. */
  get text(): string {
    return this.slices.map(textOf).join('')
  }

  /** Where each slice began and ended. */
  get places(): readonly (readonly [number, number])[] {
    return this.slices.map(({ from, to }) => [from, to])
  }
}

/** One engine on a scripted memory store. */
export class World {
  readonly clock: ManualClock = new ManualClock()
  readonly storage: ScriptedStorage
  readonly engine: Engine
  readonly faults: Fault[] = []
  readonly #types = new Map<string, string>()
  #ids = 0

  constructor(options: WorldOptions = {}) {
    this.storage = new ScriptedStorage(options)
    this.engine = new Engine({
      storage: this.storage,
      clock: this.clock,
      onFault: (fault) => this.faults.push(fault),
      ...(options.limits && { limits: options.limits }),
      ...(options.sweepIntervalMs !== undefined && { sweepIntervalMs: options.sweepIntervalMs }),
    })
  }

  /** Goes on until nothing moves any more; what the storage holds back stays there. */
  async settle(): Promise<void> {
    do await promisesSettled()
    while (this.clock.endTurn())
  }

  /** Lets time pass, everything that follows from it included. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    let left = ms
    for (let next = this.clock.nextTimerIn(left); next !== undefined; next = this.clock.nextTimerIn(left)) {
      this.clock.pass(next)
      left -= next
      await this.settle()
    }
    this.clock.pass(left)
    await this.settle()
  }

  /** Waits for a call while turns go by. */
  async done<T>(promise: Promise<T>): Promise<T> {
    const call = new Call(promise)
    await this.settle()
    if (!call.isDone) throw new Error('the call waits for something that does not come by itself')
    return promise
  }

  create(name: string, given: Creation = {}): Promise<Outcome> {
    return this.engine.create(this.creation(name, given))
  }

  append(name: string, content: string, given: Writing = {}): Promise<Outcome> {
    return this.engine.append(this.writing(name, content, given))
  }

  /** Close-only. */
  close(name: string, given: Writing = {}): Promise<Outcome> {
    return this.engine.append(this.writing(name, undefined, { ...given, closes: true }))
  }

  remove(name: string): Promise<Outcome> {
    return this.engine.remove(pathOf(name))
  }

  head(name: string): Promise<HeadResult> {
    return this.engine.head(pathOf(name))
  }

  read(name: string, from = 0): Promise<ReadResult> {
    return this.engine.read(pathOf(name), at(from))
  }

  /** The stored text of a stream, however many slices it takes. */
  async text(name: string): Promise<string> {
    let text = ''
    for (let from = 0; ; ) {
      const result = await this.done(this.read(name, from))
      if (result.kind === 'rejected') return `${text}<${result.rejection.kind}>`
      text += textOf(result.slice)
      from = result.slice.to
      if (from === result.slice.state.tail) return text
    }
  }

  poll(name: string, from: number | 'now', waitMs = 30_000): Poll {
    const abort: { now?: () => void } = {}
    const onAborted = (listener: () => void): void => {
      abort.now = listener
    }
    return new Poll(this.engine.poll(pathOf(name), at(from), { waitMs, onAborted }), abort)
  }

  /** A reader that has begun; throws if it is refused. */
  async follow(
    name: string,
    from: number | 'now' = 0,
    options: Partial<FollowOptions> = {},
    sink: RecordingSink = new RecordingSink(),
  ): Promise<RecordingSink> {
    const result = await this.done(this.engine.follow(pathOf(name), at(from)))
    if (result.kind === 'rejected') throw new Error(`refused: ${result.rejection.kind}`)
    sink.follower = result.begin(sink, { lifetimeMs: 0, heartbeatMs: 0, ...options })
    sink.follower.resume()
    await this.settle()
    return sink
  }

  creation(name: string, given: Creation = {}): CreateCommand {
    const { type, fork } = given
    const path = pathOf(name)
    const contentType = type ?? (fork === undefined ? 'text/plain' : undefined)
    this.#types.set(name, contentType ?? this.#types.get(fork?.from ?? '') ?? 'text/plain')
    return {
      kind: 'create',
      path,
      id: streamId(given.id ?? `id-${++this.#ids}`),
      contentType,
      mediaType: contentType,
      expiry: given.expiry,
      closed: given.closed ?? false,
      body: encoder.encode(given.body ?? ''),
      fork: fork && {
        sourcePath: pathOf(fork.from),
        forkAt: fork.at === undefined ? undefined : { generation: 0, position: fork.at },
        subOffset: fork.sub ?? 0,
      },
    }
  }

  writing(name: string, content: string | undefined, given: Writing = {}): AppendCommand {
    const mediaType = given.type ?? this.#types.get(name) ?? 'text/plain'
    return {
      kind: 'append',
      path: pathOf(name),
      mediaType: content === undefined ? undefined : mediaType,
      payload: content === undefined ? { kind: 'none' } : payloadOf(content, mediaType),
      closes: given.closes ?? false,
      producer: given.producer && stampOf(given.producer),
      streamSeq: given.seq,
    }
  }
}

/** A window of so many seconds. */
export function ttl(ttlSeconds: number): Expiry {
  return { kind: 'ttl', ttlSeconds }
}

/** The end at an instant. */
export function expiresAt(instantMs: number): Expiry {
  return { kind: 'at', instantMs, text: new Date(instantMs).toISOString() }
}

/** What an outcome comes to, in a word or two. */
export function inShort(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'nothing'
  return outcome.kind === 'rejected' ? `rejected: ${outcome.rejection.kind}` : outcome.kind
}

/** What a long-poll got, in a word or two. */
export function pollInShort(poll: Poll): string {
  const { result } = poll
  if (result === undefined) return poll.isDone ? `failed: ${String(poll.error)}` : 'waits'
  if (result.kind === 'aborted') return 'aborted'
  if (result.kind === 'rejected') return `rejected: ${result.rejection.kind}`
  return `${textOf(result.slice) || 'nothing'}${result.slice.state.closed ? ', closed' : ''}`
}

/** The bytes of a slice as text. */
export function textOf(slice: Slice): string {
  return decoder.decode(joined(slice.pieces))
}

/** Where a reader starts. */
export function at(position: number | 'now'): ReadStart {
  return position === 'now' ? { kind: 'now' } : { kind: 'position', position }
}

/** A body as the parser of requests would hand it over. */
export function payloadOf(content: string, mediaType: string): Payload {
  const body = encoder.encode(content)
  if (mediaType !== 'application/json') return { kind: 'bytes', bytes: body, messages: 1 }
  const json = encodeJsonMessages(body, 64)
  switch (json.kind) {
    case 'messages':
      return { kind: 'bytes', bytes: json.bytes, messages: json.count }
    case 'empty-array':
      return json
    case 'invalid':
      return { kind: 'invalid-json', detail: json.reason }
  }
}

function stampOf([id, epoch, seq]: readonly [string, number, number]): ProducerStamp {
  return { id, epoch, seq }
}

/** The path of a name. */
export function path(name: string): StreamPath {
  return pathOf(name)
}
