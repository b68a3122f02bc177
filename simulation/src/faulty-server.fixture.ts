/**
 * A whole server above a disk that fails: requests go in as `Request`, the store below runs on a faulty disk and a
 * memory home, and its time stands still until a test moves it. A crash ends all of it; the next life finds what the
 * crash left. Everything a test decides about is a field.
 */
import type { EngineLimits } from '@millrace/engine'
import { createHandler, type MillraceHandler } from '@millrace/server'
import { type Durability, type FileStore, openFileStore, type RecoveryReport } from '@millrace/storage-file'
import { promisesSettled } from './machine.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimClock } from './sim-clock.ts'
import {
  type Disk,
  type DiskOperation,
  FaultyDisk,
  type FlushOutcome,
  MemoryHome,
  type StoreLimits,
} from './store-parts.ts'

/** Sizes at which a few requests already fill segments, blocks and files. */
export const SMALL_LIMITS: StoreLimits = {
  segmentBytes: 8192,
  reserveBytes: 512,
  checkpointReserveBytes: 12_000,
  blockBytes: 512,
  blockFileBytes: 4096,
  checkpointBytes: 1_000_000,
  checkpointRecords: 1_000_000,
  checkpointAfterMs: 1000,
  maxTailBytes: 2_000_000,
  roomWaitMs: 5000,
  transactionChanges: 4,
  openBlockFiles: 4,
  blockCacheBytes: 0,
  liveShare: 0.5,
  syncAfterMs: 1000,
  snapshotIdleMs: 600_000,
}

/** How a server is made. */
export interface FaultyOptions {
  readonly seed?: number
  readonly durability?: Durability
  readonly limits?: Partial<StoreLimits>
  readonly engine?: Partial<EngineLimits>
  readonly capacityBytes?: number
  readonly longPollTimeoutMs?: number
  /** Changes the disk that the store sees. */
  readonly wrap?: (disk: Disk) => Disk
}

/** What a request says. */
export interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** A complete answer. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** A crash came before the answer. */
export const LOST = 'lost'

/** Operations after which something on the disk may be different. */
const EFFECTS: ReadonlySet<string> = new Set([
  'write',
  'sync',
  'truncate',
  'create',
  'rename',
  'remove',
  'syncFolder',
  'makeFolder',
])

interface Life {
  readonly store: FileStore
  readonly handler: MillraceHandler
}

/** The server and everything below it. */
export class FaultyServer {
  disk: FaultyDisk
  home: MemoryHome
  clock: SimClock = new SimClock({ passedMs: 0 })
  /** Steps so far that change something: operations of the disk, and flushes of the home. */
  effects = 0
  /** The effect that a crash comes before. */
  crashAt: number = Number.POSITIVE_INFINITY
  crashKind: 'power' | 'process' = 'power'
  /** What becomes of flushes of the home. */
  homeOutcome: FlushOutcome = 'flushed'
  /** Delays or watches operations of the disk. */
  onStep: (operation: DiskOperation) => void | Promise<void> = () => undefined
  /** What the handler and the store complained about. */
  readonly errors: unknown[] = []
  readonly poisonings: unknown[] = []
  recovered: RecoveryReport | undefined
  readonly #options: FaultyOptions
  #life: Life | undefined
  /** A crash has come; `restart` finds what it left. */
  isDown = false
  #whenDown: (() => void)[] = []

  constructor(options: FaultyOptions = {}) {
    this.#options = options
    const random = new SeededRandom(options.seed ?? 1)
    this.disk = new FaultyDisk({
      random: () => random.next(),
      onStep: (operation) => this.#step(operation),
      ...(options.capacityBytes !== undefined && { capacityBytes: options.capacityBytes }),
    })
    this.home = new MemoryHome({
      flush: () => {
        this.#effect()
        return this.homeOutcome
      },
      survives: () => random.chance(0.5),
    })
  }

  /** A server that has started on an empty disk. */
  static async started(options: FaultyOptions = {}): Promise<FaultyServer> {
    const server = new FaultyServer(options)
    await server.start()
    return server
  }

  get store(): FileStore {
    return this.#living().store
  }

  get handler(): MillraceHandler {
    return this.#living().handler
  }

  /** Opens the store and serves it; rejects if it cannot be opened, or with `LOST` if a crash comes meanwhile. */
  async start(): Promise<void> {
    const { durability = 'file-durable', wrap = (disk) => disk } = this.#options
    const store = await this.#orDown(
      openFileStore({
        disk: wrap(this.disk),
        openHome: async () => this.home,
        durability,
        clock: this.#storeClock(),
        limits: { ...SMALL_LIMITS, ...this.#options.limits },
        onRecovered: (report) => {
          this.recovered = report
        },
        onPoisoned: (error) => void this.poisonings.push(error),
      }),
    )
    if (store === LOST) throw new Error(LOST)
    const handler = createHandler({
      storage: store,
      longPollTimeoutMs: this.#options.longPollTimeoutMs ?? 50,
      sseHeartbeatIntervalMs: 0,
      onError: (error) => void this.errors.push(error),
      ...(this.#options.engine && { limits: this.#options.engine }),
    })
    await handler.ready
    this.#life = { store, handler }
  }

  /** Ends everything now. */
  crash(kind: 'power' | 'process' = this.crashKind): void {
    if (this.isDown) return
    this.crashAt = Number.POSITIVE_INFINITY
    this.isDown = true
    this.disk = this.disk.crash(kind)
    this.home = this.home.crash()
    const waiting = this.#whenDown
    this.#whenDown = []
    for (const down of waiting) down()
  }

  /** The next life, on what the crash left. */
  async restart(): Promise<void> {
    await this.#bury()
    // After an orderly stop it is closed, and opens again with all it had.
    if (!this.isDown) this.home = this.home.crash()
    this.isDown = false
    this.homeOutcome = 'flushed'
    this.clock = new SimClock({ passedMs: 0 })
    await this.start()
  }

  /** Sends a request and takes the whole answer, or finds that a crash came first. */
  async ask(method: string, path: string, sent: Sent = {}): Promise<Answer | typeof LOST> {
    return this.#orDown(this.#exchange(method, path, sent))
  }

  /** The same where no crash may come. */
  async send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const answer = await this.ask(method, path, sent)
    if (answer === LOST) throw new Error(`a crash came before ${method} ${path} was answered`)
    return answer
  }

  /** A response whose body is still coming. */
  open(path: string): Promise<Response> {
    return this.handler.fetch(new Request(urlOf(path)))
  }

  /** All of a stream that a reader gets, in as many answers as it takes. */
  async textOf(path: string): Promise<string> {
    const first = await this.send('GET', `${path}?offset=-1`)
    if (first.status !== 200) throw new Error(`${path} is answered ${first.status}: ${first.text}`)
    const parts = [first.text]
    for (let last = first; !last.headers.has('stream-up-to-date'); parts.push(last.text)) {
      last = await this.send('GET', `${path}?offset=${last.headers.get('stream-next-offset') ?? ''}`)
      if (last.status !== 200) throw new Error(`${path} is answered ${last.status}: ${last.text}`)
    }
    return parts.join('')
  }

  /** Writes everything down that is in memory only; a crash may end it. */
  async checkpoint(): Promise<void> {
    await this.#orDown(this.store.checkpoint())
  }

  /** Lets the store's time pass; timers fire on the way. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms
    for (let left = ms; left > 0; left = untilMs - this.clock.nowMs()) {
      this.clock.advance(left)
      await this.#quiet()
    }
  }

  /** Stops; what a broken store says to that does not matter. */
  async close(): Promise<void> {
    await this.#bury()
  }

  /** Work in the background has come to its end: nothing has touched the disk for a while. */
  async #quiet(): Promise<void> {
    for (let turns = 0, seen = -1; turns < 20; turns++) {
      const { steps } = this.disk.statistics()
      if (steps !== seen) turns = 0
      seen = steps
      await promisesSettled()
    }
  }

  #storeClock(): SimClock {
    const { clock } = this
    // Work is put off by a turn; only timers wait for the test.
    clock.defer = (callback) => void setImmediate(callback)
    return clock
  }

  async #bury(): Promise<void> {
    const life = this.#life
    this.#life = undefined
    // After a crash or a failure there is nothing left to close in good order.
    await life?.handler.close().catch(() => undefined)
  }

  async #exchange(method: string, path: string, { headers = {}, body }: Sent): Promise<Answer> {
    const init = { method, headers, ...(body !== undefined && { body: Buffer.from(body) }) }
    const response = await this.handler.fetch(new Request(urlOf(path), init))
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  async #orDown<T>(work: Promise<T>): Promise<T | typeof LOST> {
    if (this.isDown) return LOST
    const down = new Promise<typeof LOST>((resolve) => this.#whenDown.push(() => resolve(LOST)))
    // What fails because of the crash is not the answer to it.
    const orLost = work.catch((error: unknown): typeof LOST => {
      if (this.isDown) return LOST
      throw error
    })
    return Promise.race([orLost, down])
  }

  async #step(operation: DiskOperation): Promise<void> {
    if (EFFECTS.has(operation.kind)) this.#effect()
    if (this.isDown) return
    // A crash ends every wait: what hangs then has not happened.
    await Promise.race([this.onStep(operation), new Promise<void>((down) => this.#whenDown.push(down))])
  }

  #effect(): void {
    this.effects++
    if (this.effects >= this.crashAt) this.crash()
  }

  #living(): Life {
    if (this.#life === undefined) throw new Error('the server is not running')
    return this.#life
  }
}

function urlOf(path: string): string {
  return `http://localhost${path.startsWith('/') ? path : `/v1/stream/${path}`}`
}

/** Crashes at each step, for a power cut keeps one thing or another. */
const CRASHES_PER_STEP = 3

/**
 * Tells a story again and again, with crashes before each of its effects in turn, and looks at what is left each time.
 * A life begins with `prepare`, in which no crash comes. Returns how many effects there were.
 */
export async function crashEverywhere(
  options: FaultyOptions & { readonly kind: 'power' | 'process' },
  prepare: (server: FaultyServer) => Promise<void>,
  story: (server: FaultyServer) => Promise<void>,
  verify: (server: FaultyServer) => Promise<void>,
): Promise<number> {
  for (let crash = 0; ; crash++) {
    const server = await FaultyServer.started({ ...options, seed: crash })
    const effect = Math.floor(crash / CRASHES_PER_STEP)
    try {
      await prepare(server)
      server.crashKind = options.kind
      server.crashAt = server.effects + 1 + effect
      await story(server)
      if (!server.isDown) return effect
      await server.restart()
      await verify(server)
    } finally {
      await server.close()
    }
  }
}
