/** PUT: from headers and body to a `CreateCommand` (sections 2.3, 4.1 step 2). All of it precedes any look-up. */
import type { CreateCommand, ForkRequest } from './command.ts'
import { type Expiry, parseExpiresAt, parseTtl } from './expiry.ts'
import { isTrue, parseDecimal } from './header-grammar.ts'
import { parseMediaType } from './media-type.ts'
import { type OffsetParts, parseOffset } from './offset.ts'
import { refuseContentType } from './parse-append.ts'
import { badRequest, type Rejection } from './rejection.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import type { StreamId } from './stream-state.ts'
import type { HeaderLookup } from './wire.ts'

/** A command, or the first thing wrong with the request. */
export type ParsedCreate = { readonly command: CreateCommand } | { readonly rejection: Rejection }

/** What the URL and the server add to the headers of a PUT. */
export interface CreateContext {
  readonly path: StreamPath
  /** The id for a stream created by this request. */
  readonly id: StreamId
  /** Path prefix of all streams, with a trailing slash: `Stream-Forked-From` is a full path. */
  readonly streamRoot: string
}

/** Reads one PUT. */
export function parseCreate(context: CreateContext, header: HeaderLookup, body: Uint8Array): ParsedCreate {
  const expiry = parseExpiry(header)
  if (expiry.rejection) return expiry
  const fork = parseFork(header, context.streamRoot)
  if (fork.rejection) return fork
  const contentType = header('content-type')
  const mediaType = contentType === undefined ? undefined : parseMediaType(contentType)
  if (contentType !== undefined && mediaType === undefined)
    return { rejection: refuseContentType(contentType) }
  return {
    command: {
      kind: 'create',
      path: context.path,
      id: context.id,
      contentType,
      mediaType,
      expiry: expiry.value,
      closed: isTrue(header('stream-closed')),
      body,
      fork: fork.value,
    },
  }
}

type Parsed<T> =
  | { readonly value: T; readonly rejection?: undefined }
  | { readonly rejection: Rejection; readonly value?: undefined }

function refuse(detail: string): { readonly rejection: Rejection } {
  return { rejection: badRequest(detail) }
}

function parseExpiry(header: HeaderLookup): Parsed<Expiry | undefined> {
  const ttl = header('stream-ttl')
  const expiresAt = header('stream-expires-at')
  if (ttl !== undefined && expiresAt !== undefined) {
    return refuse('Send Stream-TTL or Stream-Expires-At, not both.')
  }
  if (ttl !== undefined) {
    const value = parseTtl(ttl)
    return value ? { value } : refuse('Stream-TTL must be a whole number of seconds, such as 3600.')
  }
  if (expiresAt === undefined) return { value: undefined }
  const value = parseExpiresAt(expiresAt)
  if (value) return { value }
  return refuse('Stream-Expires-At must be an RFC 3339 date-time with a zone, such as 2030-01-31T12:00:00Z.')
}

function parseFork(header: HeaderLookup, streamRoot: string): Parsed<ForkRequest | undefined> {
  const from = header('stream-forked-from')
  const offset = header('stream-fork-offset')
  const sub = header('stream-fork-sub-offset')
  const subOffset = sub === undefined ? 0 : parseDecimal(sub)
  if (subOffset === undefined) return refuse('Stream-Fork-Sub-Offset must be a whole number, 0 or more.')
  if (from === undefined) {
    if (sub !== undefined) return refuse('Stream-Fork-Sub-Offset needs Stream-Forked-From.')
    if (offset !== undefined) return refuse('Stream-Fork-Offset needs Stream-Forked-From.')
    return { value: undefined }
  }
  const forkAt = offset === undefined ? undefined : parseForkOffset(offset)
  if (forkAt === 'malformed') {
    return refuse('Stream-Fork-Offset must be an offset that this server returned; -1 and now do not count.')
  }
  const sourcePath = parseForkSource(from, streamRoot)
  if (sourcePath === undefined) return { rejection: { kind: 'fork-source-not-found' } }
  return { value: { sourcePath, forkAt, subOffset } }
}

/**
 * The stream that `Stream-Forked-From` names, `streamRoot` ending in a slash; `undefined` for a path that is not below
 * the root, or no path at all: that names no stream of this server.
 */
export function parseForkSource(from: string, streamRoot: string): StreamPath | undefined {
  const source = from.startsWith(streamRoot) ? parseStreamPath(from.slice(streamRoot.length)) : undefined
  return source?.kind === 'stream' ? source.path : undefined
}

const BEYOND: OffsetParts = { generation: Number.POSITIVE_INFINITY, position: Number.POSITIVE_INFINITY }

function parseForkOffset(offset: string): OffsetParts | 'malformed' {
  const parsed = parseOffset(offset)
  if (parsed.kind === 'malformed') return 'malformed'
  return parsed.kind === 'beyond' ? BEYOND : { generation: parsed.generation, position: parsed.position }
}
