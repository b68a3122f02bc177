/** Expiry: the two ways a stream can end by itself, how they are written in headers, and when they are due. */
import { parseDecimal } from './header-grammar.ts'

/** `ttl` slides with every read and write; `at` never moves. */
export type Expiry =
  | { readonly kind: 'never' }
  | { readonly kind: 'ttl'; readonly ttlSeconds: number }
  | { readonly kind: 'at'; readonly instantMs: number; readonly text: string }

/** A stream that does not expire. */
export const NEVER: Expiry = { kind: 'never' }

/** When a stream with this expiry, last used at `lastAccessMs`, ends; `undefined` if never. */
export function deadlineMs(expiry: Expiry, lastAccessMs: number): number | undefined {
  switch (expiry.kind) {
    case 'never':
      return undefined
    case 'ttl':
      return lastAccessMs + expiry.ttlSeconds * 1000
    case 'at':
      return expiry.instantMs
  }
}

/** Whether two configurations mean the same: same window, or same instant however written. */
export function isSameExpiry(a: Expiry, b: Expiry): boolean {
  if (a.kind === 'ttl') return b.kind === 'ttl' && a.ttlSeconds === b.ttlSeconds
  if (a.kind === 'at') return b.kind === 'at' && a.instantMs === b.instantMs
  return b.kind === 'never'
}

/** Reads `Stream-TTL`: whole seconds, `0` allowed; `undefined` if malformed. */
export function parseTtl(value: string): Expiry | undefined {
  const ttlSeconds = parseDecimal(value)
  return ttlSeconds === undefined ? undefined : { kind: 'ttl', ttlSeconds }
}

const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** Reads `Stream-Expires-At`: an RFC 3339 date-time with a zone; `undefined` if malformed. */
export function parseExpiresAt(value: string): Expiry | undefined {
  const match = DATE_TIME.exec(value)
  if (!match) return undefined
  const [, year, month, day, hour, minute, second, fraction = '0', zone = 'Z'] = match
  // A leap second names the first instant after it (RFC 3339, 5.7).
  const seconds = second === '60' ? 59 : Number(second)
  const normal = `${year}-${month}-${day}T${hour}:${minute}:${String(seconds).padStart(2, '0')}`
  const local = Date.parse(`${normal}Z`)
  // Date.parse accepts no 31 April, but rolls 24:00 over: both are refused by writing the instant back.
  if (Number.isNaN(local) || !new Date(local).toISOString().startsWith(normal)) return undefined
  const wholeMs = local + (second === '60' ? 1000 : 0) - zoneMs(zone)
  return { kind: 'at', instantMs: wholeMs + Math.floor(Number(`0.${fraction}`) * 1000), text: value }
}

function zoneMs(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000
}
