/** One run: a store on a machine that crashes and fails, clients, and the checks. All of it follows from the seed. */
import { Engine } from '@millrace/engine'
import { Client, type ClientWorld } from './clients.ts'
import { check, EventLog, Violation } from './event-log.ts'
import { auditEmpty } from './home-audit.ts'
import { Machine, promisesSettled } from './machine.ts'
import type { Sabotage } from './sabotage.ts'
import { SeededRandom } from './seeded-random.ts'
import { auditSpace, verifyLeft, verifyRecovered } from './store-audit.ts'
import { StoreModel } from './store-model.ts'
import {
  DiskFull,
  type Durability,
  type FileStore,
  type Home,
  openFileStore,
  type StoreLimits,
} from './store-parts.ts'
import { SyncWatch } from './sync-watch.ts'
import { tinyLimits } from './tiny-limits.ts'
import { Trouble } from './trouble.ts'
import { WatchedStorage } from './watched-storage.ts'

/** How to run a seed. */
export interface RunOptions {
  readonly seed: number
  /** Things that happen by choice: requests, moves of the clock, turns of the machine. */
  readonly actions: number
  /** Steps between crashes on average; `undefined`: none. */
  readonly crashEvery: number | undefined
  readonly faults: boolean
  readonly sabotage: Sabotage
}

/** What a run came to. */
export interface RunResult {
  readonly digest: string
  readonly steps: number
  readonly crashes: number
  readonly violation: { readonly message: string; readonly recent: readonly string[] } | undefined
}

/** Runs a seed. */
export async function runSeed(options: RunOptions): Promise<RunResult> {
  const run = new SeedRun(options)
  try {
    await run.play()
    return run.result(undefined)
  } catch (error) {
    const message =
      error instanceof Violation
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error)
    return run.result({ message, recent: run.log.recent() })
  }
}

interface Life {
  readonly store: FileStore
  readonly engine: Engine
}

class SeedRun {
  readonly log: EventLog = new EventLog()
  readonly #options: RunOptions
  readonly #random: SeededRandom
  readonly #machine: Machine
  readonly #model: StoreModel
  readonly #durability: Durability
  readonly #limits: StoreLimits
  readonly #clients: readonly Client[]
  readonly #watch: SyncWatch
  readonly #trouble: Trouble
  #life: Life | undefined
  #lives = 0
  #crashes = 0
  #failure: unknown
  #sinceCrash: 'power' | 'process' = 'power'

  constructor(options: RunOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    this.#machine = new Machine(this.#random.branch(), this.log)
    this.#durability = this.#random.chance(0.75) ? 'file-durable' : 'file-fast'
    this.#model = new StoreModel(this.#durability === 'file-fast')
    this.#limits = tinyLimits(this.#random)
    const counter = { op: 0 }
    this.#clients = Array.from(
      { length: this.#random.between(2, 6) },
      (_, at) => new Client(`c${at}`, counter),
    )
    this.#watch = new SyncWatch(this.#model)
    this.#trouble = new Trouble(this.#machine, this.#random, this.log)
    this.log.add(`seed ${options.seed}, ${this.#durability}, ${JSON.stringify(this.#limits)}`)
  }

  result(violation: RunResult['violation']): RunResult {
    return { digest: this.log.digest(), steps: this.#machine.steps, crashes: this.#crashes, violation }
  }

  async play(): Promise<void> {
    this.#planCrash()
    await this.#start()
    for (let action = 0; action < this.#options.actions; action++) {
      if (this.#machine.isCrashDue) await this.#crash(undefined)
      await this.#act()
      this.#rethrow()
    }
    await this.#end()
  }

  async #act(): Promise<void> {
    const random = this.#random
    const draw = random.next()
    const idle = this.#clients.filter(({ isBusy }) => !isBusy)
    if (draw < 0.28 && idle.length > 0) random.pick(idle).act(this.#world())
    else if (draw < 0.33)
      await this.#machine.pass(random.chance(0.03) ? random.between(1000, 10_000) : random.between(0, 60))
    else if (draw < 0.34 && this.#options.faults) this.#trouble.begin()
    else if (this.#machine.hasWork) await this.#machine.work()
    else await this.#machine.pass(random.between(0, 30))
    await promisesSettled()
    if (this.#life?.store.poison !== undefined && random.chance(0.02)) await this.#crash(undefined)
  }

  #world(): ClientWorld {
    const life = this.#living()
    return {
      random: this.#random,
      log: this.log,
      model: this.#model,
      engine: life.engine,
      nowMs: () => this.#machine.clock.nowMs(),
      excuse: () => (this.#trouble.mayFail && life.store.poison !== undefined ? 'poisoned' : undefined),
      mayBeFull: () => this.#trouble.wasShort,
    }
  }

  #living(): Life {
    if (this.#life === undefined) throw new Error('there is no store')
    return this.#life
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure
    for (const { failure } of this.#clients) if (failure !== undefined) throw failure
    const poison = this.#life?.store.poison
    check(
      poison === undefined || this.#trouble.mayFail,
      () => `poisoned for no reason: ${poison?.stack ?? ''}`,
    )
  }

  #planCrash(): void {
    const { crashEvery } = this.#options
    if (crashEvery === undefined) return
    const isSoon = this.#random.chance(0.25)
    this.#machine.crashAt =
      this.#machine.steps + 1 + this.#random.below(isSoon ? 25 : Math.max(2, 2.4 * crashEvery))
  }

  async #crash(wanted: 'power' | 'process' | undefined): Promise<void> {
    const kind = this.#trouble.mustCutPower
      ? 'power'
      : (wanted ?? (this.#random.chance(0.75) ? 'power' : 'process'))
    this.#crashes++
    this.#lives++
    this.#trouble.stopFailing()
    this.#machine.crash(kind)
    // Until a recovery has come to its end, what a power cut took is gone, whatever ends the next attempt.
    if (kind === 'power') this.#sinceCrash = 'power'
    this.#life = undefined
    for (const client of this.#clients) client.crashed()
    this.#planCrash()
    await this.#start()
  }

  /** Opens the store, however many crashes it takes. */
  async #start(): Promise<void> {
    for (;;) {
      if (Object.keys(this.#options.sabotage).length === 0) await verifyLeft(this.#machine)
      const outcome = await this.#machine.until(this.#open()).catch((error: unknown) => ({ error }))
      if (outcome === 'crash') {
        const kind = this.#random.chance(0.6) ? 'power' : 'process'
        this.#crashes++
        this.#lives++
        this.#machine.crash(kind)
        if (kind === 'power') this.#sinceCrash = 'power'
        this.#planCrash()
        continue
      }
      if ('error' in outcome) {
        const { error } = outcome
        if (!(this.#trouble.isShort && error instanceof DiskFull))
          throw new Violation(`the store does not open: ${error instanceof Error ? error.stack : error}`)
        this.log.add(`no room to open: ${String(error)}`)
        this.#trouble.giveRoom()
        this.#machine.crash('process')
        this.#planCrash()
        continue
      }
      const store = outcome.value
      await verifyRecovered(store, this.#machine, this.#model, this.#sinceCrash, this.#trouble.wasShort)
      this.#adopt(store)
      return
    }
  }

  #open(): Promise<FileStore> {
    const { sabotage } = this.#options
    const { disk: faulty, home } = this.#machine
    const watched = this.#watch.wrap(faulty)
    const disk = sabotage.disk?.(watched) ?? watched
    const openHome = async (): Promise<Home> => sabotage.home?.(home, disk) ?? home
    return openFileStore({
      disk,
      openHome,
      durability: this.#durability,
      clock: this.#machine.clock,
      limits: this.#limits,
      onRecovered: (report) => this.log.add(`recovered ${JSON.stringify(report)}`),
      onPoisoned: (error) => this.log.add(`poisoned: ${String(error)}`),
    })
  }

  #adopt(store: FileStore): void {
    const { sabotage, seed } = this.#options
    const life = this.#lives
    const inner = sabotage.storage?.(store) ?? store
    const storage = new WatchedStorage(inner, {
      model: this.#model,
      isAlive: () => life === this.#lives,
      note: (line) => {
        if (life === this.#lives) this.log.add(line)
      },
      failed: (error) => {
        this.#failure ??= error
      },
    })
    const engine = new Engine({
      storage,
      clock: this.#machine.clock,
      limits: { maxIdleStreams: seed % 3 === 0 ? 0 : 3 },
      sweepIntervalMs: 300,
      onFault: (fault) => {
        if (life !== this.#lives) return
        this.log.add(`fault: ${fault.code}`)
        if (!this.#trouble.mayFail)
          this.#failure ??= new Violation(`the engine reports ${fault.stack ?? fault.message}`)
      },
    })
    this.#life = { store, engine }
    this.#sinceCrash = 'process'
  }

  /** No more crashes: everything is answered, a stop loses nothing, and deleting everything leaves nothing. */
  async #end(): Promise<void> {
    this.#trouble.giveRoom()
    this.#machine.crashAt = Number.POSITIVE_INFINITY
    const plan = this.#options.crashEvery
    if (this.#trouble.mayFail) {
      await this.#crash('power')
      this.#machine.crashAt = Number.POSITIVE_INFINITY
    }
    this.log.add(`the end begins${plan === undefined ? ', no crash so far' : ''}`)
    while (this.#clients.some(({ isBusy }) => isBusy)) {
      const inMs = this.#machine.clock.nextTimerInMs()
      if (this.#machine.hasWork) await this.#machine.work()
      else {
        check(inMs !== undefined, () => 'a request is never answered')
        await this.#machine.pass(inMs ?? 0)
      }
      this.#rethrow()
    }
    await this.#restart()
    await this.#deleteAll()
    await this.#machine.finish(this.#living().store.checkpoint())
    await this.#machine.finish(this.#living().store.checkpoint())
    this.#rethrow()
    auditEmpty(this.#machine.home)
    for (let again = 0; again < 3; again++) await this.#restart()
    await auditSpace(this.#machine)
  }

  async #restart(): Promise<void> {
    await this.#machine.finish(this.#living().engine.close())
    this.#rethrow()
    this.#machine.reopen()
    this.#lives++
    this.#model.synced()
    this.#sinceCrash = 'process'
    await this.#start()
    this.#machine.crashAt = Number.POSITIVE_INFINITY
  }

  async #deleteAll(): Promise<void> {
    for (let round = 0; this.#model.streams.size > 0; round++) {
      check(round < 20, () => `streams cannot be deleted: ${this.#model.paths.join()}`)
      for (const [path, { state }] of [...this.#model.streams]) {
        if (!state.softDeleted) await this.#machine.finish(this.#living().engine.remove(path))
        this.#rethrow()
      }
      // Streams that have expired are the sweeper's.
      if (this.#model.streams.size > 0)
        await this.#machine.finish(
          new Promise<void>((resolve) => void this.#machine.clock.setTimer(400, resolve)),
        )
    }
  }
}
