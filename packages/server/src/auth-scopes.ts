/** Scopes: what credentials and rules permit, in the forms in which they are written, made ready to be checked. */
import type { StreamPath } from '@millrace/protocol'
import { OPERATIONS, type Operation } from './auth-options.ts'
import { matchesPattern, type PathPattern, parsePattern } from './auth-path-pattern.ts'

/** A permission, ready to be checked. */
export interface Grant {
  readonly operations: ReadonlySet<Operation>
  readonly patterns: readonly PathPattern[]
}

const BY_NAME: ReadonlyMap<unknown, Operation> = new Map(OPERATIONS.map((name) => [name, name]))
const ON_STREAMS: readonly Operation[] = OPERATIONS.filter((name) => name !== 'admin')

type Fields = Readonly<Record<string, unknown>>

/** A grant of `{paths, operations}`; `undefined` if any part of it is not as it has to be. */
export function toGrant(permission: unknown): Grant | undefined {
  if (typeof permission !== 'object' || permission === null) return undefined
  const { paths, operations }: Fields = Object.fromEntries(Object.entries(permission))
  if (!Array.isArray(paths) || !Array.isArray(operations)) return undefined
  const patterns = paths.map((path) => (typeof path === 'string' ? parsePattern(path) : undefined))
  const named = operations.flatMap((name): readonly (Operation | undefined)[] =>
    name === '*' ? ON_STREAMS : [BY_NAME.get(name)],
  )
  const known = named.filter((operation) => operation !== undefined)
  const valid = patterns.filter((pattern) => pattern !== undefined)
  if (known.length < named.length || valid.length < patterns.length) return undefined
  return { operations: new Set(known), patterns: valid }
}

/** A grant of a scope such as `read:orders/**` or `append,close:orders/1`; `undefined` if it is none of ours. */
export function parseScope(scope: string): Grant | undefined {
  const colon = scope.indexOf(':')
  if (colon < 0) return undefined
  return toGrant({ operations: scope.slice(0, colon).split(','), paths: [scope.slice(colon + 1)] })
}

/** The grants of scopes separated by spaces; those that mean something elsewhere grant nothing here. */
export function parseScopes(scopes: string): readonly Grant[] {
  return scopes
    .split(' ')
    .map(parseScope)
    .filter((grant) => grant !== undefined)
}

/** The grants of a token's claims: `scope`, and `streams: [{paths, operations}]`. What is malformed grants nothing. */
export function grantsOfClaims({ scope, streams }: Fields): readonly Grant[] {
  const written = Array.isArray(streams) ? streams.map(toGrant).filter((grant) => grant !== undefined) : []
  return [...(typeof scope === 'string' ? parseScopes(scope) : []), ...written]
}

/** The grants of configured scopes; throws `RangeError` at the first that is none. */
export function configuredGrants(scopes: readonly unknown[], place: string): readonly Grant[] {
  return scopes.map((scope) => {
    const grant = typeof scope === 'string' ? parseScope(scope) : toGrant(scope)
    if (grant !== undefined) return grant
    throw new RangeError(`${place}: ${JSON.stringify(scope)} is no scope. ${SCOPE_FORM}`)
  })
}

const SCOPE_FORM =
  `Write operations (${OPERATIONS.join(', ')}, or *) and a path without a leading slash, such as read:orders/* ` +
  'or {"paths": ["users/{sub}/**"], "operations": ["read", "append"]}.'

/** Whether one of the grants permits an operation on a stream. */
export function permits(
  grants: readonly Grant[],
  operation: Operation,
  path: StreamPath,
  subject: string | undefined,
): boolean {
  return grants.some(
    ({ operations, patterns }) =>
      operations.has(operation) && patterns.some((pattern) => matchesPattern(pattern, path, subject)),
  )
}

/** Whether one of the grants permits an operation on every stream there can be. */
export function permitsEverywhere(grants: readonly Grant[], operation: Operation): boolean {
  return grants.some(
    ({ operations, patterns }) =>
      operations.has(operation) && patterns.some(({ segments, isOpen }) => isOpen && segments.length === 0),
  )
}
