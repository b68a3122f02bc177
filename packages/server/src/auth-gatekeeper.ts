/** The gatekeeper pattern: a proxy in front checks who asks, and says so in a header. */
import type { WireRequest } from '@millrace/protocol'
import type { TrustedHeaderOptions } from './auth-options.ts'
import { type Grant, parseScopes } from './auth-scopes.ts'
import { PeerList } from './peer-list.ts'

/** What a trusted proxy says; `malformed` where it is not to be believed. */
export type Vouched = { readonly subject: string; readonly grants: readonly Grant[] } | 'malformed'

const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
const MAX_SUBJECT_LENGTH = 512

/** Believes headers of some peers. */
export class Gatekeeper {
  readonly #userHeader: string
  readonly #scopesHeader: string | undefined
  readonly #proxies: PeerList
  readonly #requiresTls: boolean

  /** Throws `RangeError` for a header or a proxy that is none. */
  constructor(options: TrustedHeaderOptions) {
    this.#userHeader = headerName(options.userHeader)
    this.#scopesHeader = options.scopesHeader === undefined ? undefined : headerName(options.scopesHeader)
    this.#proxies = new PeerList(options.trustedProxies)
    this.#requiresTls = options.requireTls ?? true
  }

  /** The user that a trusted proxy names; `undefined` if none does. What anybody else says is not even looked at. */
  vouchedFor(request: WireRequest): Vouched | undefined {
    if (!this.#isTrusted(request)) return undefined
    const subject = request.header(this.#userHeader)
    if (subject === undefined || subject === '') return undefined
    // Sent twice, the fields arrive joined by a comma: one of them may be the client's own.
    if (subject.includes(',') || subject.length > MAX_SUBJECT_LENGTH) return 'malformed'
    const scopes = this.#scopesHeader === undefined ? undefined : request.header(this.#scopesHeader)
    if (scopes?.includes(', ') === true) return 'malformed'
    return { subject, grants: scopes === undefined ? [] : parseScopes(scopes) }
  }

  #isTrusted({ client, hasClientCertificate }: WireRequest): boolean {
    return (!this.#requiresTls || hasClientCertificate === true) && this.#proxies.includes(client)
  }
}

function headerName(name: string): string {
  const lower = name.toLowerCase()
  if (HEADER_NAME.test(lower) && lower !== 'authorization' && lower !== 'host') return lower
  throw new RangeError(`${name} is no name for the header of a trusted proxy.`)
}
