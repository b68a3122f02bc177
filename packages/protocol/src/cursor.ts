/** Cache cursors: interval numbers that make live URLs differ over time, so that a CDN never serves stale ones. */

/** Length and start of the intervals (section 2.10). */
export interface CursorClock {
  readonly intervalSeconds: number
  readonly epochMs: number
}

/** Intervals of 20 seconds since 2024-10-09T00:00:00Z. */
export const DEFAULT_CURSOR_CLOCK: CursorClock = {
  intervalSeconds: 20,
  epochMs: Date.UTC(2024, 9, 9),
}

const MAX_JITTER_SECONDS = 3600
const DIGITS = /^[0-9]{1,18}$/

/**
 * The cursor to answer with. A client at or past the current interval is moved strictly forward by a random
 * jitter; a malformed cursor is as if absent. `random` is uniform in [0, 1).
 */
export function nextCursor(
  client: string | undefined,
  nowMs: number,
  random: () => number,
  clock: CursorClock = DEFAULT_CURSOR_CLOCK,
): bigint {
  const current = BigInt(Math.max(0, Math.floor((nowMs - clock.epochMs) / (clock.intervalSeconds * 1000))))
  if (client === undefined || !DIGITS.test(client)) return current
  const asked = BigInt(client)
  if (asked < current) return current
  const jitterSeconds = 1 + Math.floor(random() * MAX_JITTER_SECONDS)
  return asked + BigInt(Math.max(1, Math.ceil(jitterSeconds / clock.intervalSeconds)))
}
