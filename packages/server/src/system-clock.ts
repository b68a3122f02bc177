/** The real clock and real randomness, for the engine's ports. */
import { randomBytes } from 'node:crypto'
import type { Clock, Entropy } from '@millrace/engine'

/** Time of this process. Timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  defer(callback) {
    setImmediate(callback)
  },
}

/** Random names come from the operating system, 96 bits each. */
export const systemEntropy: Entropy = {
  random: () => Math.random(),
  uniqueId: () => randomBytes(12).toString('base64url'),
}
