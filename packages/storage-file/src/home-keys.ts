/** The keys of the home. Numbers are padded so that bytewise order is numeric order. */
import type { StreamId, StreamPath } from '@millrace/protocol'

const DIGITS = 16
const ZEROS = '0'.repeat(DIGITS)

function padded(number: number): string {
  const digits = String(number)
  return ZEROS.slice(digits.length) + digits
}

/** A stream's state, by path: also the listing. */
export function streamKey(path: StreamPath | string): string {
  return `s/${path}`
}

/** The path and extent of a stream, by id. */
export function identityKey(id: StreamId): string {
  return `i/${id}`
}

/** A block, by stream and the position where it ends: the first key past a position is the block that holds it. */
export function blockKey(id: StreamId, to: number): string {
  return `b/${id}/${padded(to)}`
}

/** The end of a stream's blocks in key order. */
export function blocksEnd(id: StreamId): string {
  return prefixEnd(`b/${id}/`)
}

/** Reads a block key, as `blockKey` made it; `undefined` if it is none. */
export function parseBlockKey(key: string): { readonly id: StreamId; readonly to: number } | undefined {
  const match = /^b\/(.+)\/([0-9]{16})$/.exec(key)
  return match?.[1] === undefined ? undefined : { id: match[1] as StreamId, to: Number(match[2]) }
}

/** A due time, earliest first. */
export function dueKey(dueAtMs: number, path: StreamPath): string {
  return `d/${padded(Math.max(0, Math.ceil(dueAtMs)))}/${path}`
}

/** Greater than every due key up to an instant. */
export function dueEnd(atOrBeforeMs: number): string {
  return prefixEnd(`d/${padded(Math.max(0, Math.floor(atOrBeforeMs)))}/`)
}

/** Reads a due key, as `dueKey` made it. */
export function parseDueKey(key: string): { readonly dueAtMs: number; readonly path: StreamPath } {
  // The latest times have more digits than the padding.
  const slash = key.indexOf('/', 2)
  return { dueAtMs: Number(key.slice(2, slash)), path: key.slice(slash + 1) as StreamPath }
}

/** The least key that is greater than this one, for keys that go on in printable ASCII. */
export function keyAfter(key: string): string {
  return `${key}\x01`
}

/** Use of a block file. */
export function fileKey(file: number): string {
  return `f/${padded(file)}`
}

/** The number in a block file's key. */
export function fileOf(key: string): number {
  return Number(key.slice(2))
}

/** The journal sequence up to which the home holds everything. */
export const APPLIED_KEY = 'm/applied'

/** The store's generation, as a number; missing: 0. */
export const GENERATION_KEY = 'm/generation'

/** The machine's start in which a store that answers before it syncs was opened; removed when it is closed. */
export const RUN_KEY = 'm/run'

/** While the store is open: a journal segment, made before this was; it or a later one is always there. */
export const JOURNAL_KEY = 'm/journal'

/** How many streams the home has, and the bytes of their own; missing in homes that were not counted from the start. */
export const USAGE_KEY = 'm/usage'

/** The identity of the store, given at its first snapshot; a restored store has none yet. */
export const STORE_KEY = 'm/store'

/** Keys of what is known about the store as a whole. */
export const FACT_KEYS: ReadonlySet<string> = new Set([
  APPLIED_KEY,
  GENERATION_KEY,
  JOURNAL_KEY,
  RUN_KEY,
  STORE_KEY,
  USAGE_KEY,
])

/** Greater than every key that starts with `prefix` and goes on in printable ASCII. */
export function prefixEnd(prefix: string): string {
  return `${prefix}\x7f`
}
