/** What goes wrong in a run besides crashes: no room on the disk, and operations that fail. */
import type { EventLog } from './event-log.ts'
import type { Machine } from './machine.ts'
import type { SeededRandom } from './seeded-random.ts'

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

  constructor(machine: Machine, random: SeededRandom, log: EventLog) {
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
    else if (random.chance(0.3)) this.#failNext()
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
    this.#isShort = true
    this.#wasShort = true
    if (this.#random.chance(0.3)) this.#machine.homeOutcome = 'full'
  }

  #failNext(): void {
    this.#mayFail = true
    const kind = this.#random.pick(['write', 'sync', 'syncFolder', 'home'])
    this.#log.add(`the next ${kind} fails`)
    if (kind === 'home') {
      this.#machine.homeOutcome = 'failed'
      return
    }
    if (kind !== 'write') this.#mustCutPower = true
    let isDone = false
    this.#stopFault = this.#machine.disk.fail((operation) => {
      if (isDone || operation.kind !== kind) return false
      isDone = true
      return true
    })
  }
}
