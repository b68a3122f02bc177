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

/** What an offset consists of. */
export interface OffsetParts {
  /** Of the byte before the position; see `generation.ts`. */
  readonly generation: number
  readonly position: number
}

/** The token of the start of every stream. */
export const ZERO_OFFSET: Offset = formatOffset(0, 0)

/** Writes a token. Which generation a position has is the stream's to know: use `offsetAt` where there is one. */
export function formatOffset(position: number, generation: number): Offset {
  const prefix = generation === 0 ? FIRST_GENERATION : `${String(generation).padStart(DIGITS, '0')}_`
  // The only place that makes offsets: the brand is earned here.
  return (prefix + String(position).padStart(DIGITS, '0')) as Offset
}

/** What an offset token names: a place in a stream, one that no stream reaches, or nothing at all. */
export type ParsedOffset =
  | ({ readonly kind: 'offset' } & OffsetParts)
  | { readonly kind: 'beyond' }
  | { readonly kind: 'malformed' }

/** Reads a token; the whole string must match, so `-1\n` or a sentinel is malformed here. */
export function parseOffset(token: string): ParsedOffset {
  if (!SHAPE.test(token) || token.length !== 2 * DIGITS + 1) return { kind: 'malformed' }
  const generation = Number(token.slice(0, DIGITS))
  const position = Number(token.slice(DIGITS + 1))
  if (Math.max(generation, position) > PROTOCOL_LIMITS.maxPosition) return { kind: 'beyond' }
  return { kind: 'offset', generation, position }
}
