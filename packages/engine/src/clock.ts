/** Time and timers as a port, so that a simulation can run a week of expiry in a second. */

/** The world's time. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the clock is set. */
  nowMs(): number
  /** Milliseconds since some fixed moment; never jumps. */
  elapsedMs(): number
  /** Calls back once, not before `delayMs` has passed. */
  setTimer(delayMs: number, callback: () => void): Timer
  /** Calls back once the current turn's input has been taken in: for gathering work, not for waiting. */
  defer(callback: () => void): void
}

/** A timer that can be given up. */
export interface Timer {
  cancel(): void
}

/** Randomness as a port. */
export interface Entropy {
  /** Uniform in [0, 1). */
  random(): number
  /** A name that is never drawn twice, of 1 to 40 characters out of `A-Za-z0-9_-`. */
  uniqueId(): string
}
