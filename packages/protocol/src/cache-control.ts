/** How long caches may keep a read answer (section 2.8). */

import { isAtEnd, type Slice } from './slice.ts'
import { dueAtMs } from './stream-state.ts'

const MAX_AGE_SECONDS = 60
const STALE_WHILE_REVALIDATE_SECONDS = 300

/**
 * `max-age=60, stale-while-revalidate=300` (R-163), never longer than the stream itself lives (R-164). An answer
 * without data at the tail of an open stream is checked again each time: a kept one would hide new data.
 */
export function cacheControl(slice: Slice, scope: 'public' | 'private', nowMs: number): string {
  if (slice.from === slice.to && !isAtEnd(slice)) return 'no-cache'
  const due = dueAtMs(slice.state)
  const left = due === undefined ? Number.POSITIVE_INFINITY : Math.floor((due - nowMs) / 1000)
  if (left <= 0) return 'no-store'
  const maxAge = Math.min(MAX_AGE_SECONDS, left)
  const stale = Math.min(STALE_WHILE_REVALIDATE_SECONDS, left - maxAge)
  return `${scope}, max-age=${maxAge}${stale > 0 ? `, stale-while-revalidate=${stale}` : ''}`
}
