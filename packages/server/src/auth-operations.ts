/** Which permissions a request needs, and what it is told without them: never whether a stream exists. */
import {
  isTrue,
  parseForkSource,
  type Rejection,
  type StreamPath,
  type WireRequest,
} from '@millrace/protocol'
import type { Identity } from './auth-guard.ts'
import type { Operation } from './auth-options.ts'
import { permits, permitsEverywhere } from './auth-scopes.ts'

/** Why somebody may not do something with a stream; `undefined` if they may. */
export function refusalOf(identity: Identity, operation: Operation, path: StreamPath): Rejection | undefined {
  if (permits(identity.grants, operation, path, identity.subject)) return undefined
  if (identity.isAnonymous) return NEEDS_CREDENTIALS
  return { kind: 'forbidden', detail: `These credentials do not permit ${operation} on this path.` }
}

/** Why somebody may not see what concerns the whole server: that takes `admin` on every path. */
export function refusalOfAdministration(identity: Identity): Rejection | undefined {
  if (permitsEverywhere(identity.grants, 'admin')) return undefined
  if (identity.isAnonymous) return NEEDS_CREDENTIALS
  return { kind: 'forbidden', detail: 'These credentials do not permit admin on all paths.' }
}

/** What is said to whoever sent no credentials. */
export const NEEDS_CREDENTIALS: Rejection = {
  kind: 'unauthenticated',
  isTokenWrong: false,
  detail: 'This needs credentials: send Authorization: Bearer with a token or an API key.',
}

/** Whether everybody may read a stream, so that shared caches may keep what is read. */
export function isPublic(identity: Identity, path: StreamPath): boolean {
  return permits(identity.publicGrants, 'read', path, undefined)
}

/** Judges a request on a stream by method and headers alone; the body has not been received. */
export function refusalOfRequest(
  identity: Identity,
  wire: WireRequest,
  path: StreamPath,
  streamRoot: string,
): Rejection | undefined {
  switch (wire.method) {
    case 'GET':
    case 'HEAD':
      return refusalOf(identity, 'read', path)
    case 'POST': {
      const closes = isTrue(wire.header('stream-closed'))
      const refusal = refusalOf(identity, 'append', path)
      return refusal ?? (closes ? refusalOf(identity, 'close', path) : undefined)
    }
    case 'PUT':
      return refusalOf(identity, 'create', path) ?? refusalOfSource(identity, wire, streamRoot)
    case 'DELETE':
      return refusalOf(identity, 'delete', path)
    default:
      throw new Error(`${wire.method} needs permissions that are not defined`)
  }
}

/** A fork shows all that its source holds. */
function refusalOfSource(identity: Identity, wire: WireRequest, streamRoot: string): Rejection | undefined {
  const from = wire.header('stream-forked-from')
  const source = from === undefined ? undefined : parseForkSource(from, streamRoot)
  return source && refusalOf(identity, 'read', source)
}
