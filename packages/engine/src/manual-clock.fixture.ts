/** Time that stands still until a test moves it, and turns that end when a test says so. */
import type { Clock, Timer } from './clock.ts'

interface PendingTimer {
  readonly atMs: number
  readonly callback: () => void
}

/** Both clocks start at fixed moments that differ, so that mixing them up shows. */
export const START_MS: number = Date.UTC(2026, 0, 1)
const START_ELAPSED_MS = 5_000

/** Counts what is asked of it. */
export class ManualClock implements Clock {
  /** How far the wall clock was set forward or back. */
  skewMs = 0
  /** Timers ever set, given up or not. */
  timersSet = 0
  /** The most that were waiting at any one time. */
  mostTimers = 0
  #passedMs = 0
  readonly #timers = new Set<PendingTimer>()
  #deferred: (() => void)[] = []

  nowMs(): number {
    return START_MS + this.#passedMs + this.skewMs
  }

  elapsedMs(): number {
    return START_ELAPSED_MS + this.#passedMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer: PendingTimer = { atMs: this.elapsedMs() + delayMs, callback }
    this.#timers.add(timer)
    this.timersSet++
    this.mostTimers = Math.max(this.mostTimers, this.#timers.size)
    return { cancel: () => this.#timers.delete(timer) }
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback)
  }

  /** Timers waiting now. */
  get timers(): number {
    return this.#timers.size
  }

  get hasDeferred(): boolean {
    return this.#deferred.length > 0
  }

  /** Ends a turn: runs what was put off until now, but not what that puts off again. False if there was nothing. */
  endTurn(): boolean {
    const deferred = this.#deferred
    this.#deferred = []
    for (const callback of deferred) callback()
    return deferred.length > 0
  }

  /** Lets time pass at once; timers that come due on the way fire in order, each at its own moment. */
  pass(ms: number): void {
    const untilMs = this.#passedMs + ms
    for (let next = this.#nextTimer(untilMs); next !== undefined; next = this.#nextTimer(untilMs)) {
      this.#timers.delete(next)
      this.#passedMs = Math.max(this.#passedMs, next.atMs - START_ELAPSED_MS)
      next.callback()
    }
    this.#passedMs = untilMs
  }

  /** When the earliest timer that fires until then does. */
  nextTimerIn(ms: number): number | undefined {
    const next = this.#nextTimer(this.#passedMs + ms)
    return next && Math.max(0, next.atMs - this.elapsedMs())
  }

  #nextTimer(untilMs: number): PendingTimer | undefined {
    let earliest: PendingTimer | undefined
    for (const timer of this.#timers) {
      if (timer.atMs - START_ELAPSED_MS > untilMs) continue
      if (earliest === undefined || timer.atMs < earliest.atMs) earliest = timer
    }
    return earliest
  }
}

/** Lets every promise that can go on go on. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
