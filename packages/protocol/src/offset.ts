/**
 * Offsets: the opaque tokens that name a position on the wire.
 * `<16-digit generation>_<16-digit position>`; a position counts the stored bytes before it.
 */
import { PROTOCOL_LIMITS } from './limits.ts'

declare const offsetBrand: unique symbol

/** A token naming one position of one stream; bytewise order is stream order. */
export type Offset = string & { readonly [offsetBrand]: true }

const DIGITS = 16
const SHAPE = /^[0-9]{16}_[0-9]{16}$/
const FIRST_GENERATION = '0000000000000000_'

/** The token of the start of every stream. */
export const ZERO_OFFSET: Offset = formatOffset(0)

/** Mints the token of a position. Every position has exactly one. */
export function formatOffset(position: number): Offset {
  // The only place that makes offsets: the brand is earned here.
  return (FIRST_GENERATION + String(position).padStart(DIGITS, '0')) as Offset
}

/** What an offset token names: a position, a place no stream reaches, or nothing at all. */
export type ParsedOffset =
  | { readonly kind: 'position'; readonly position: number }
  | { readonly kind: 'beyond' }
  | { readonly kind: 'malformed' }

/** Reads a token; the whole string must match, so `-1\n` or a sentinel is malformed here. */
export function parseOffset(token: string): ParsedOffset {
  if (!SHAPE.test(token) || token.length !== 2 * DIGITS + 1) return { kind: 'malformed' }
  const position = Number(token.slice(DIGITS + 1))
  if (!token.startsWith(FIRST_GENERATION) || position > PROTOCOL_LIMITS.maxPosition) return { kind: 'beyond' }
  return { kind: 'position', position }
}
