/** What goes wrong in a run besides crashes: no room on the disk, and operations that fail. */
import type { EventLog } from './event-log.ts'
import type { Machine } from './machine.ts'
import type { SeededRandom } from './seeded-random.ts'
import { InjectedFailure } from './store-parts.ts'
import type { Tally } from './tally.ts'

/** The trouble of one run, and what it excuses. */
export class Trouble {
  readonly #machine: Machine
  readonly #random: SeededRandom
  readonly #log: EventLog
  #isShort = false
  #wasShort = false
  #mayFail = false
  #mustCutPower = false
  #stopFault: (() => void) | undefined

  readonly #tally: Tally

  constructor(machine: Machine, random: SeededRandom, log: EventLog, tally: Tally) {
    this.#tally = tally
    this.#machine = machine
    this.#random = random
    this.#log = log
  }

  /** The disk has little room at the moment. */
  get isShort(): boolean {
    return this.#isShort
  }

  /** It had at some time. */
  get wasShort(): boolean {
    return this.#wasShort
  }

  /** The store may be poisoned. */
  get mayFail(): boolean {
    return this.#mayFail
  }

  /** An error that a failing disk or home has made, and nothing else. */
  excuses(error: unknown): boolean {
    const isTheirs = error instanceof InjectedFailure || String(error) === 'Error: the home failed to write'
    return this.#mayFail && isTheirs
  }

  /** A sync failed and forgot what it had: only a power cut shows what is really there. */
  get mustCutPower(): boolean {
    return this.#mustCutPower
  }

  /** A crash ends operations that fail; a full disk stays full. */
  stopFailing(): void {
    this.#stopFault?.()
    this.#mayFail = false
    this.#mustCutPower = false
  }

  /** Something goes wrong from now on. */
  begin(): void {
    const random = this.#random
    if (this.#isShort) {
      if (random.chance(0.5)) this.giveRoom()
      return
    }
    if (random.chance(0.5)) this.#takeRoom()
    else if (random.chance(0.3)) this.failNext()
  }

  giveRoom(): void {
    this.#machine.disk.resize(Number.POSITIVE_INFINITY)
    this.#machine.homeOutcome = 'flushed'
    this.#isShort = false
    this.#log.add('room again')
  }

  #takeRoom(): void {
    const { disk } = this.#machine
    const room = this.#random.between(0, 6000)
    disk.resize(disk.statistics().bytes + room)
    this.#log.add(`room for ${room} bytes`)
    this.#tally.add('disk', 'runs full')
    this.#isShort = true
    this.#wasShort = true
    if (this.#random.chance(0.3)) this.#machine.homeOutcome = 'full'
  }

  /** The next operation of some kind fails, until a crash. */
  failNext(): void {
    this.#mayFail = true
    const kind = this.#random.pick(['write', 'sync', 'syncFolder', 'create', 'rename', 'remove', 'home'])
    this.#log.add(`the next ${kind} fails`)
    if (kind === 'home') {
      this.#machine.homeOutcome = 'failed'
      this.#tally.add('disk', 'home to fail')
      return
    }
    if (kind.startsWith('sync')) this.#mustCutPower = true
    let isDone = false
    this.#stopFault = this.#machine.disk.fail((operation) => {
      if (isDone || operation.kind !== kind) return false
      isDone = true
      this.#tally.add('disk', `fails to ${kind}`)
      return true
    })
  }
}
