/** GET: from the query to a `ReadRequest` (sections 3.2, 10.1). Sentinels exist only here. */
import { type OffsetParts, parseOffset } from './offset.ts'
import type { Query } from './query.ts'
import { badRequest, type Rejection } from './rejection.ts'

/** How a reader wants to be served. */
export type ReadMode = 'catch-up' | 'long-poll' | 'sse'

/** Where a reader wants to start. */
export type ReadStart =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }
  /** As a client sent it: to be judged. */
  | ({ readonly kind: 'offset' } & OffsetParts)
  /** Where a reader of the same stream has been. */
  | { readonly kind: 'position'; readonly position: number }
  /** A well-formed offset that no stream reaches. */
  | { readonly kind: 'beyond' }

/** One GET, parsed. */
export interface ReadRequest {
  readonly mode: ReadMode
  readonly start: ReadStart
  /** The token as requested (`-1` when left out): it is part of the ETag. */
  readonly startToken: string
  readonly cursor: string | undefined
}

/** A request, or what is wrong with it. An existing stream is checked for first (3.2). */
export type ParsedRead = { readonly request: ReadRequest } | { readonly rejection: Rejection }

/** Reads the query of one GET. */
export function parseRead(query: Query): ParsedRead {
  const mode = parseMode(query.all('live'))
  const offsets = query.all('offset')
  if (offsets.length > 1) return { rejection: badOffset('Send one offset parameter, not several.') }
  if (offsets.length === 0 && mode !== 'catch-up' && mode !== undefined) {
    return { rejection: badOffset('A live read needs an offset: -1 for the beginning, now for the tail.') }
  }
  const startToken = offsets.length === 0 ? '-1' : offsets[0]
  const start = startToken === undefined ? undefined : parseStart(startToken)
  if (startToken === undefined || start === undefined) {
    return { rejection: badOffset('The offset must be -1, now, or a value of a Stream-Next-Offset header.') }
  }
  if (mode === undefined) {
    return {
      rejection: badRequest('The live parameter must be long-poll or sse, once; leave it out to catch up.'),
    }
  }
  const cursors = query.all('cursor')
  if (cursors.length > 1) return { rejection: badRequest('Send one cursor parameter, not several.') }
  return { request: { mode, start, startToken, cursor: cursors[0] } }
}

function badOffset(detail: string): Rejection {
  return { kind: 'invalid-offset', detail }
}

function parseMode(values: readonly (string | undefined)[]): ReadMode | undefined {
  if (values.length === 0) return 'catch-up'
  const [value] = values
  return values.length === 1 && (value === 'long-poll' || value === 'sse') ? value : undefined
}

function parseStart(token: string): ReadStart | undefined {
  if (token === '-1') return { kind: 'beginning' }
  if (token === 'now') return { kind: 'now' }
  const offset = parseOffset(token)
  return offset.kind === 'malformed' ? undefined : offset
}
