/** How long to wait before a request is made again: pure, apart from chance and clock given as values. */
import { DurableStreamError } from './errors.ts'
import type { BackoffOptions } from './options.ts'

/** Back-off options with every value there. */
export type ResolvedBackoff = Required<Omit<BackoffOptions, 'onFailedAttempt'>> &
  Pick<BackoffOptions, 'onFailedAttempt'>

/**
 * How failed requests are retried unless told otherwise: full jitter from 100 ms, growing by 1.3 up to a minute, without
 * end. So a request to an unreachable server settles only once the server is reachable; set `maxRetries` to bound it.
 */
export const BackoffDefaults: ResolvedBackoff = {
  initialDelay: 100,
  maxDelay: 60_000,
  multiplier: 1.3,
  maxRetries: Number.POSITIVE_INFINITY,
  debug: false,
}

/** Fills in the defaults. Throws `BAD_REQUEST` for values that are not numbers of at least 0. */
export function resolveBackoff(options: BackoffOptions = {}): ResolvedBackoff {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const resolved: ResolvedBackoff = { ...BackoffDefaults, ...given }
  for (const name of ['initialDelay', 'maxDelay', 'multiplier', 'maxRetries'] as const) {
    const value: unknown = resolved[name]
    if (typeof value === 'number' && value >= 0) continue
    throw new DurableStreamError(
      `backoffOptions.${name} is not a number of at least 0: ${value}`,
      'BAD_REQUEST',
    )
  }
  return resolved
}

/** The wait before a retry (counted from 0), in milliseconds. `random` is in [0, 1); the server's minimum is a floor. */
export function retryDelay(
  { initialDelay, maxDelay, multiplier }: ResolvedBackoff,
  retry: number,
  random: number,
  serverMinimum: number,
): number {
  const longest = Math.min(initialDelay * multiplier ** retry, maxDelay)
  return Math.max(serverMinimum, random * longest)
}

const LONGEST_DATE_WAIT_MS = 3_600_000

/**
 * The wait that a `Retry-After` value asks for, in milliseconds: seconds, fractions accepted, or an HTTP date, which is
 * bounded by an hour. Anything else is 0.
 */
export function parseRetryAfterHeader(value: string | null | undefined, nowMs: number): number {
  const text = value?.trim() ?? ''
  if (text === '') return 0
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  const time = Date.parse(text)
  return Number.isNaN(time) ? 0 : Math.min(Math.max(0, time - nowMs), LONGEST_DATE_WAIT_MS)
}
