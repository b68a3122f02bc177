/** Time that moves only when the scheduler moves it. A crash ends a clock; time itself goes on. */
import type { Clock, Timer } from '@millrace/engine'

/** The world's time, which outlives every process in it. */
export interface WorldTime {
  passedMs: number
}

const START_MS = Date.UTC(2026, 0, 1)

interface PendingTimer {
  readonly atMs: number
  readonly callback: () => void
}

/** The clock of one process. */
export class SimClock implements Clock {
  readonly #time: WorldTime
  readonly #timers = new Set<PendingTimer>()
  readonly #deferred: (() => void)[] = []

  constructor(time: WorldTime) {
    this.#time = time
  }

  nowMs(): number {
    return START_MS + this.#time.passedMs
  }

  elapsedMs(): number {
    return 5000 + this.#time.passedMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer: PendingTimer = { atMs: this.#time.passedMs + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback)
  }

  get hasDeferred(): boolean {
    return this.#deferred.length > 0
  }

  /** Runs the oldest callback that was put off. */
  runDeferred(): void {
    this.#deferred.shift()?.()
  }

  /** How long until the next timer; `undefined` if there is none. */
  nextTimerInMs(): number | undefined {
    const next = this.#earliest()
    return next && Math.max(0, next.atMs - this.#time.passedMs)
  }

  /** Moves time to the next timer within `ms` and fires it, or by all of `ms`. True if one fired. */
  advance(ms: number): boolean {
    const next = this.#earliest()
    const untilMs = this.#time.passedMs + ms
    if (next === undefined || next.atMs > untilMs) {
      this.#time.passedMs = untilMs
      return false
    }
    this.#time.passedMs = Math.max(this.#time.passedMs, next.atMs)
    this.#timers.delete(next)
    next.callback()
    return true
  }

  #earliest(): PendingTimer | undefined {
    let earliest: PendingTimer | undefined
    for (const timer of this.#timers) {
      if (earliest === undefined || timer.atMs < earliest.atMs) earliest = timer
    }
    return earliest
  }
}
