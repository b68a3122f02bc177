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

/** Digits of the time in a name, at 32 to a digit: enough for the next thousand years. */
const TIME_DIGITS = 9

/**
 * Names begin with the time and go on with 72 bits from the operating system. A store sorts by them: what was made at
 * about the same time lies together, so that many new streams touch few pages instead of one each.
 */
export const systemEntropy: Entropy = {
  random: () => Math.random(),
  uniqueId() {
    const time = Date.now().toString(32).padStart(TIME_DIGITS, '0')
    return `${time}${randomBytes(9).toString('base64url')}`
  },
}
