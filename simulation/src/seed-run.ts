/** One run: a store on a machine that crashes and fails, clients, and the checks. All of it follows from the seed. */
import type { Engine } from '@millrace/engine'
import { Audience } from './audience.ts'
import { Client, type ClientWorld } from './clients.ts'
import { type CrashKind, type CrashPlan, crashKind, nextCrash } from './crash-plan.ts'
import { check, EventLog, messageOf, Violation } from './event-log.ts'
import { auditEmpty } from './home-audit.ts'
import { auditLied, isDamageReport } from './lied-audit.ts'
import { LyingDisk } from './lying-disk.ts'
import { Machine, promisesSettled } from './machine.ts'
import { OneSync } from './one-sync.ts'
import type { ReaderWorld } from './readers.ts'
import type { Sabotage } from './sabotage.ts'
import { SeededRandom } from './seeded-random.ts'
import { auditSpace, verifyLeft, verifyRecovered } from './store-audit.ts'
import { StoreModel } from './store-model.ts'
import { DiskFull, type FileStore } from './store-parts.ts'
import { engineOn, openStore, type StoreSetup } from './store-setup.ts'
import { SyncWatch } from './sync-watch.ts'
import { type Counts, Tally } from './tally.ts'
import { tinyLimits } from './tiny-limits.ts'
import { Trouble } from './trouble.ts'

/** How to run a seed. */
export interface RunOptions {
  readonly seed: number
  /** Things that happen by choice: requests, moves of the clock, turns of the machine. */
  readonly actions: number
  readonly crashes: CrashPlan
  readonly faults: boolean
  /** The disk lies about syncs. The run ends with the first power cut that shows it. */
  readonly lies: boolean
  readonly sabotage: Sabotage
}

/** What a run came to. */
export interface RunResult {
  readonly digest: string
  readonly steps: number
  readonly crashes: number
  /** What happened how often. */
  readonly counts: Counts
  readonly violation: { readonly message: string; readonly recent: readonly string[] } | undefined
}

/** Runs a seed. */
export async function runSeed(options: RunOptions): Promise<RunResult> {
  const run = new SeedRun(options)
  try {
    await run.play()
    return run.result(undefined)
  } catch (error) {
    return run.result({ message: messageOf(error), recent: run.log.recent() })
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
  readonly #setup: StoreSetup
  readonly #clients: readonly Client[]
  readonly #audience: Audience
  readonly #tally: Tally = new Tally()
  readonly #trouble: Trouble
  #life: Life | undefined
  #lives = 0
  /** What a new store has on the disk. */
  #emptyBytes = Number.NaN
  #crashes = 0
  /** The power was cut after the disk had lied. */
  #hasLied = false
  /** A lie has come out, and what is left was looked at. */
  #isOver = false
  #failure: unknown
  #sinceCrash: CrashKind = 'power'

  constructor(options: RunOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    this.#machine = new Machine(this.#random.branch(), this.log, this.#tally)
    const { seed, sabotage, lies } = options
    const drawn = this.#random.chance(0.75) ? 'file-durable' : 'file-fast'
    const durability = sabotage.durability ?? drawn
    this.#model = new StoreModel(durability === 'file-fast', lies)
    const limits = tinyLimits(this.#random)
    const counter = { op: 0 }
    this.#clients = Array.from(
      { length: this.#random.between(2, 6) },
      (_, at) => new Client(`c${at}`, counter),
    )
    this.#audience = new Audience(this.#random.between(1, 4))
    this.#setup = {
      seed,
      machine: this.#machine,
      model: this.#model,
      log: this.log,
      tally: this.#tally,
      watch: new SyncWatch(this.#model),
      oneSync: new OneSync(),
      sabotage,
      durability,
      limits,
      lying: lies ? new LyingDisk(this.#random.branch()) : undefined,
    }
    this.#trouble = new Trouble(this.#machine, this.#random, this.log, this.#tally)
    this.log.add(`seed ${seed}, ${durability}, ${JSON.stringify(limits)}`)
  }

  result(violation: RunResult['violation']): RunResult {
    const { steps } = this.#machine
    const counts = this.#tally.counts()
    return { digest: this.log.digest(), steps, crashes: this.#crashes, counts, violation }
  }

  async play(): Promise<void> {
    this.#planCrash()
    await this.#start()
    this.#emptyBytes = this.#machine.disk.statistics().bytes
    for (let action = 0; action < this.#options.actions; action++) {
      if (this.#machine.isCrashDue) await this.#crash(undefined)
      if (this.#isOver) return
      await this.#act()
      if (this.#isOver) return
      this.#rethrow()
    }
    await this.#end()
  }

  async #act(): Promise<void> {
    const random = this.#random
    const draw = random.next()
    const idle = this.#clients.filter(({ isBusy }) => !isBusy)
    if (draw < 0.25 && idle.length > 0) random.pick(idle).act(this.#world())
    else if (draw < 0.32) this.#audience.act(random, this.#readerWorld())
    else if (draw < 0.37)
      await this.#machine.pass(random.chance(0.03) ? random.between(1000, 10_000) : random.between(0, 60))
    else if (draw < 0.38 && this.#options.faults) this.#trouble.begin()
    else if (draw < 0.383) await this.#stopAndStart()
    else if (this.#machine.hasWork) await this.#machine.work()
    else await this.#machine.pass(random.between(0, 30))
    await promisesSettled()
    if (this.#isOver) return
    if (!this.#machine.hasWork) this.#audience.checkWaiting(this.#readerWorld())
    if (this.#life?.store.poison !== undefined && random.chance(0.02)) await this.#crash(undefined)
  }

  #world(): ClientWorld {
    const life = this.#living()
    return {
      random: this.#random,
      log: this.log,
      model: this.#model,
      engine: life.engine,
      tally: this.#tally,
      nowMs: () => this.#machine.clock.nowMs(),
      excuse: () => (this.#trouble.mayFail && life.store.poison !== undefined ? 'poisoned' : undefined),
      mayBeFull: () => this.#trouble.wasShort,
    }
  }

  #readerWorld(): ReaderWorld {
    const { engine } = this.#living()
    return {
      random: this.#random,
      log: this.log,
      tally: this.#tally,
      model: this.#model,
      readPort: this.#options.sabotage.readPort?.(engine) ?? engine,
      isStopping: () => this.#machine.phase === 'stopping',
    }
  }

  #living(): Life {
    if (this.#life === undefined) throw new Error('there is no store')
    return this.#life
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure
    const found = [this.#audience, this.#setup.oneSync, ...this.#clients].find(
      ({ failure }) => failure !== undefined,
    )
    if (found !== undefined) throw found.failure
    const poison = this.#life?.store.poison
    check(
      poison === undefined || this.#trouble.mayFail,
      () => `poisoned for no reason: ${poison?.stack ?? ''}`,
    )
  }

  #planCrash(): void {
    this.#machine.crashAt = nextCrash(this.#options.crashes, this.#machine.steps, this.#random)
  }

  async #crash(wanted: CrashKind | undefined): Promise<void> {
    const kind = this.#trouble.mustCutPower
      ? 'power'
      : (wanted ?? crashKind(this.#options.crashes, 0.75, this.#random))
    this.#crashMachine(kind)
    this.#life = undefined
    for (const client of this.#clients) client.crashed()
    this.#audience.crashed()
    this.#planCrash()
    if (this.#options.faults && this.#random.chance(0.05)) this.#trouble.failNext()
    await this.#start()
  }

  #crashMachine(kind: CrashKind): void {
    this.#crashes++
    this.#lives++
    this.#trouble.stopFailing()
    this.#machine.crash(kind)
    if (kind === 'process') return
    // Until a recovery has come to its end, what a power cut took is gone, whatever ends the next attempt.
    this.#sinceCrash = 'power'
    this.#hasLied = (this.#setup.lying?.lies ?? 0) > 0
  }

  /** An orderly stop, which a crash may interrupt, and a start after it. */
  async #stopAndStart(): Promise<void> {
    if (this.#trouble.mayFail || !(await this.#answerAll())) return
    this.#machine.phase = 'stopping'
    const outcome = await this.#machine.until(this.#living().engine.close())
    this.#rethrow()
    if (outcome === 'crash') return this.#crash(undefined)
    this.#tally.add('stops', 'orderly')
    await this.#reopen()
  }

  /** Lets the machine work until no request is open; false if a crash is due before. */
  async #answerAll(): Promise<boolean> {
    while (this.#clients.some(({ isBusy }) => isBusy)) {
      if (this.#machine.isCrashDue) return false
      const inMs = this.#machine.clock.nextTimerInMs()
      if (this.#machine.hasWork) await this.#machine.work()
      else {
        check(inMs !== undefined, () => 'a request is never answered')
        await this.#machine.pass(inMs ?? 0)
      }
      this.#rethrow()
    }
    return true
  }

  /** Opens the store, however many crashes it takes. */
  async #start(): Promise<void> {
    this.#machine.phase = 'opening'
    const isHonest = Object.keys(this.#options.sabotage).length === 0 && !this.#options.lies
    for (;;) {
      if (isHonest) await verifyLeft(this.#machine)
      const outcome = await this.#machine.until(openStore(this.#setup)).catch((error: unknown) => ({ error }))
      if (outcome === 'crash') {
        const kind = crashKind(this.#options.crashes, 0.6, this.#random)
        this.#crashMachine(kind)
        this.#planCrash()
        continue
      }
      if ('error' in outcome) {
        const { error } = outcome
        if (this.#hasLied && isDamageReport(error)) {
          this.#tally.add('lies', `refused to open: ${String(error).split(':')[0]}`)
          this.#isOver = true
          return
        }
        if (this.#trouble.excuses(error)) {
          this.#failedToOpen(error)
          continue
        }
        if (!(this.#trouble.isShort && error instanceof DiskFull))
          throw new Violation(`the store does not open: ${error instanceof Error ? error.stack : error}`)
        this.log.add(`no room to open: ${String(error)}`)
        this.#trouble.giveRoom()
        this.#machine.crash('process')
        this.#planCrash()
        continue
      }
      const store = outcome.value
      if (this.#hasLied) {
        await auditLied(store, this.#setup, this.#random)
        this.#isOver = true
        return
      }
      const mayHaveLost = this.#sinceCrash === 'power' && this.#setup.durability === 'file-fast'
      await verifyRecovered(store, this.#machine, this.#model, this.#sinceCrash, this.#trouble.wasShort)
      this.#adopt(store)
      this.#machine.phase = 'serving'
      this.#audience.recovered(this.#readerWorld(), mayHaveLost)
      return
    }
  }

  /** The disk failed while the store was being opened: it must not open, and the next attempt finds out. */
  #failedToOpen(error: unknown): void {
    this.log.add(`not opened: ${String(error)}`)
    this.#tally.add('disk', 'failed while opening')
    const kind = this.#trouble.mustCutPower ? 'power' : 'process'
    this.#crashMachine(kind)
    this.#planCrash()
  }

  #adopt(store: FileStore): void {
    const life = this.#lives
    const isAlive = (): boolean => life === this.#lives
    const failed = (error: unknown): void => {
      this.#failure ??= error
    }
    const engine = engineOn(store, this.#setup, {
      isAlive,
      failed,
      faulted: (fault) => {
        this.log.add(`fault: ${fault.code}`)
        if (!this.#trouble.mayFail)
          failed(new Violation(`the engine reports ${fault.stack ?? fault.message}`))
      },
    })
    this.#life = { store, engine }
    this.#sinceCrash = 'process'
  }

  /** No more crashes: everything is answered, a stop loses nothing, and deleting everything leaves nothing. */
  async #end(): Promise<void> {
    this.#trouble.giveRoom()
    this.#machine.crashAt = Number.POSITIVE_INFINITY
    // The start after a crash may meet with trouble again.
    while (this.#trouble.mayFail) await this.#crash('power')
    this.#machine.crashAt = Number.POSITIVE_INFINITY
    this.log.add('the end begins')
    await this.#answerAll()
    await this.#readersAtTail()
    await this.#restart()
    await this.#readersAtTail()
    await this.#deleteAll()
    await this.#machine.finish(this.#living().store.checkpoint())
    await this.#machine.finish(this.#living().store.checkpoint())
    this.#rethrow()
    auditEmpty(this.#machine.home)
    for (let again = 0; again < 3; again++) await this.#restart()
    await auditSpace(this.#machine, this.#emptyBytes, this.#setup.limits)
  }

  /** Nothing more is written: every reader goes on to the tail, and waits there. */
  async #readersAtTail(): Promise<void> {
    this.#audience.followToEnd(this.#readerWorld())
    await this.#workOff()
    this.#audience.checkWaiting(this.#readerWorld())
  }

  async #workOff(): Promise<void> {
    await promisesSettled()
    while (this.#machine.hasWork) await this.#machine.work()
    this.#rethrow()
  }

  async #restart(): Promise<void> {
    this.#machine.phase = 'stopping'
    await this.#machine.finish(this.#living().engine.close())
    await this.#reopen()
    this.#machine.crashAt = Number.POSITIVE_INFINITY
  }

  async #reopen(): Promise<void> {
    await this.#workOff()
    // One that was let in during the stop and could take no more is ended when it asks for more.
    this.#audience.takeMore()
    await this.#workOff()
    this.#audience.checkReleased()
    this.#machine.reopen()
    this.#lives++
    this.#model.synced()
    this.#sinceCrash = 'process'
    await this.#start()
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
    await this.#workOff()
    this.#audience.checkReleased()
  }
}
