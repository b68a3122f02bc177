/**
 * The machine: disk, home and time of a run. Every operation waits at a gate until the scheduler lets it through, in
 * any order; a crash leaves whatever waits undone.
 */
import { check, type EventLog } from './event-log.ts'
import type { SeededRandom } from './seeded-random.ts'
import { SimClock, type WorldTime } from './sim-clock.ts'
import {
  BLOCK_FOLDER,
  type DiskOperation,
  FaultyDisk,
  type FlushOutcome,
  JOURNAL_FOLDER,
  MemoryHome,
} from './store-parts.ts'
import type { Tally } from './tally.ts'

interface Gate {
  readonly label: string
  /** What it changes, as crash points are counted; `undefined`: nothing. */
  readonly effect: string | undefined
  open(): void
}

/** Lets every promise go on that can. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

const CHANGES: ReadonlySet<string> = new Set([
  'write',
  'sync',
  'truncate',
  'create',
  'rename',
  'remove',
  'syncFolder',
  'makeFolder',
])

/** What the store is doing as a whole. */
export type Phase = 'opening' | 'serving' | 'stopping'

/** Hears of operations that have just been let through. */
export type StepListener = (operation: DiskOperation) => void

/** Everything below the store. */
export class Machine {
  readonly time: WorldTime = { passedMs: 0 }
  disk: FaultyDisk
  home: MemoryHome
  clock: SimClock
  /** Steps so far: operations that change something. */
  steps = 0
  /** The step at which the next crash comes. */
  crashAt: number = Number.POSITIVE_INFINITY
  /** Outcome of home flushes while this is set. */
  homeOutcome: FlushOutcome = 'flushed'
  onStep: StepListener = () => undefined
  phase: Phase = 'opening'
  #isLookedAt = false
  readonly #random: SeededRandom
  readonly #log: EventLog
  readonly #tally: Tally
  #gates: Gate[] = []
  /** The last effect that was let through. */
  #lastEffect = 'nothing'

  constructor(random: SeededRandom, log: EventLog, tally: Tally) {
    this.#random = random
    this.#log = log
    this.#tally = tally
    const chance = random.branch()
    this.disk = new FaultyDisk({
      random: () => chance.next(),
      onStep: (operation) => this.#enter(operation),
      entrySurvival: random.chance(0.5) ? 'any' : 'in-order',
    })
    this.home = new MemoryHome({
      flush: (transaction) => this.#flush(transaction),
      survives: () => chance.chance(0.5),
    })
    this.clock = new SimClock(this.time)
  }

  /** A crash is due before anything else happens. */
  get isCrashDue(): boolean {
    return this.steps >= this.crashAt
  }

  get hasWork(): boolean {
    return this.#gates.length > 0 || this.clock.hasDeferred
  }

  /** Ends whatever runs on this machine. */
  crash(kind: 'power' | 'process'): void {
    this.#log.add(
      `${kind} crash at step ${this.steps}, with ${this.#gates.map(({ label }) => label).join(', ')} waiting`,
    )
    this.#countCrash(kind)
    this.#gates = []
    this.disk = this.disk.crash(kind)
    this.home = this.home.crash()
    this.clock = new SimClock(this.time)
    this.homeOutcome = 'flushed'
    this.crashAt = Number.POSITIVE_INFINITY
  }

  /** Starts the machine again after an orderly stop. */
  reopen(): void {
    const waiting = this.#gates.filter(({ label }) => !label.startsWith('close '))
    check(
      waiting.length === 0,
      () => `operations wait after the store closed: ${waiting.map(({ label }) => label)}`,
    )
    this.#gates = []
    this.home = this.home.crash()
    this.clock = new SimClock(this.time)
  }

  /** Lets one thing happen: an operation, or a callback that was put off. */
  async work(): Promise<void> {
    const canDefer = this.clock.hasDeferred
    if (canDefer && (this.#gates.length === 0 || this.#random.chance(0.4))) {
      this.clock.runDeferred()
    } else {
      const [gate] = this.#gates.splice(this.#random.below(this.#gates.length), 1)
      gate?.open()
    }
    await promisesSettled()
  }

  /** Lets time pass up to a timer or a bound. */
  async pass(ms: number): Promise<boolean> {
    const hasFired = this.clock.advance(ms)
    await promisesSettled()
    return hasFired
  }

  /** Runs the machine until a promise is settled or a crash is due. */
  async until<T>(promise: Promise<T>): Promise<'crash' | { readonly value: T }> {
    let result: { readonly value: T } | undefined
    let failure: { readonly error: unknown } | undefined
    promise.then(
      (value) => {
        result = { value }
      },
      (error: unknown) => {
        failure = { error }
      },
    )
    await promisesSettled()
    for (let turns = 0; ; turns++) {
      if (failure !== undefined) throw failure.error
      if (result !== undefined) return result
      if (this.isCrashDue) return 'crash'
      check(turns < 200_000, () => 'something does not come to an end')
      if (this.hasWork) await this.work()
      else {
        const inMs = this.clock.nextTimerInMs()
        check(inMs !== undefined, () => 'something waits for what does not come')
        await this.pass(inMs ?? 0)
      }
    }
  }

  /** Waits for something that no crash may interrupt. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    const { crashAt } = this
    this.crashAt = Number.POSITIVE_INFINITY
    const outcome = await this.until(promise)
    this.crashAt = Math.max(crashAt, this.steps + 1)
    if (outcome === 'crash') throw new Error('a crash came where none may')
    return outcome.value
  }

  /** An effect that waits may be done in part or not at all; the one before it was the last that certainly was. */
  #countCrash(kind: 'power' | 'process'): void {
    this.#tally.add('crashes', `${kind} while ${this.phase}`)
    const waiting = new Set(this.#gates.flatMap(({ effect }) => effect ?? []))
    for (const effect of waiting) this.#tally.add(`crashes before an effect (${this.phase})`, effect)
    this.#tally.add('crashes after an effect', this.#lastEffect)
    this.#lastEffect = 'nothing'
  }

  /** Looks at what is on the disk; for the run nothing has happened. */
  async lookAt<T>(look: () => Promise<T>): Promise<T> {
    this.#isLookedAt = true
    try {
      return await look()
    } finally {
      this.#isLookedAt = false
    }
  }

  #enter(operation: DiskOperation): void | Promise<void> {
    if (this.#isLookedAt) return
    const changes = CHANGES.has(operation.kind)
    const label = labelOf(operation)
    if (!changes && this.#random.chance(0.6)) return
    if (changes) this.steps++
    return this.#gate(label, changes ? effectOf(operation) : undefined).then(() => this.onStep(operation))
  }

  async #flush(transaction: number): Promise<FlushOutcome> {
    this.steps++
    await this.#gate(`home ${transaction}`, 'home commit')
    return this.homeOutcome
  }

  #gate(label: string, effect: string | undefined): Promise<void> {
    return new Promise((resolve) => {
      const open = (): void => {
        this.#log.add(label)
        this.#lastEffect = effect ?? this.#lastEffect
        resolve()
      }
      this.#gates.push({ label, effect, open })
    })
  }
}

function labelOf({ kind, name, to, position, length }: DiskOperation): string {
  const place = position === undefined ? '' : ` at ${position}`
  return `${kind} ${name}${to === undefined ? '' : ` to ${to}`}${place}${length === undefined ? '' : ` of ${length}`}`
}

/** Where an operation changes what: `journal sync`. */
function effectOf({ kind, name }: DiskOperation): string {
  const [folder] = name.split('/')
  const place = folder === JOURNAL_FOLDER || folder === BLOCK_FOLDER ? folder : 'directory'
  return `${place} ${kind}`
}
