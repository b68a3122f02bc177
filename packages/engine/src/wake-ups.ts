/**
 * Wakes readers after their streams moved: after the answers of the turn, coalesced, and a bounded number in a
 * turn, so that a large audience does not hold up everybody else.
 */
import type { Clock } from './clock.ts'
import type { Entity, Waiter } from './entity.ts'

/** The queue of readers to wake. */
export class WakeUps {
  readonly #clock: Clock
  readonly #perTurn: number
  readonly #moved = new Set<Entity>()
  #woken: Iterator<Waiter> | undefined
  #isScheduled = false

  constructor(clock: Clock, perTurn: number) {
    this.#clock = clock
    this.#perTurn = perTurn
  }

  /** Notes that a stream's durable state moved. */
  moved(entity: Entity): void {
    if (entity.waiters.size === 0) return
    this.#moved.add(entity)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#clock.defer(() => {
      this.#isScheduled = false
      this.#turn()
    })
  }

  #turn(): void {
    for (let count = 0; count < this.#perTurn; count++) {
      const next = this.#nextWaiter()
      if (next === undefined) return
      next.wake()
    }
    this.#schedule()
  }

  #nextWaiter(): Waiter | undefined {
    for (;;) {
      const next = this.#woken?.next()
      if (next && !next.done) return next.value
      this.#woken = this.#nextAudience()
      if (this.#woken === undefined) return undefined
    }
  }

  /** Readers that park again join a new set: each is woken once for what has happened so far. */
  #nextAudience(): Iterator<Waiter> | undefined {
    for (const entity of this.#moved) {
      this.#moved.delete(entity)
      const waiters = entity.waiters
      entity.waiters = new Set()
      return waiters.values()
    }
    return undefined
  }
}
