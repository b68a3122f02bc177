/** The guard: who asks, by their credentials, and with which permissions. It judges nothing but that. */
import type { Rejection, WireRequest } from '@millrace/protocol'
import { ApiKeys, isApiKey } from './auth-api-keys.ts'
import { Gatekeeper } from './auth-gatekeeper.ts'
import { JwtVerifier } from './auth-jwt.ts'
import type { AuthenticationOptions } from './auth-options.ts'
import { AccessTable, type RuleTable } from './auth-rules.ts'
import type { Grant } from './auth-scopes.ts'

/** Who asks. */
export interface Identity {
  readonly isAnonymous: boolean
  /** The user's name, where the credentials have one. */
  readonly subject: string | undefined
  /** What counts as one client for limits; `undefined`: the address. */
  readonly limitKey: string | undefined
  readonly grants: readonly Grant[]
  /** What is granted to anyone; such answers may be kept by shared caches. */
  readonly publicGrants: readonly Grant[]
  /** When the credentials end, if they do. */
  readonly expiresAtMs: number | undefined
  /** Request headers that tell apart who asks. */
  readonly varyBy: string
}

/** Somebody, or why there is no answer for whoever it is. */
export type Identified = Identity | { readonly rejection: Rejection }

type Credentials = Omit<Identity, 'publicGrants' | 'varyBy'> & { readonly keyId?: string }

const ANONYMOUS: Credentials = {
  isAnonymous: true,
  subject: undefined,
  limitKey: undefined,
  grants: [],
  expiresAtMs: undefined,
}

/** Longer names are nobody's. */
const MAX_SUBJECT_LENGTH = 512
const NOTHING: readonly Grant[] = []
const BEARER = /^bearer +([A-Za-z0-9._~+/=-]+)$/i

/** Identifies requests by one configuration. */
export class Guard {
  readonly #jwt: JwtVerifier | undefined
  readonly #keys: ApiKeys | undefined
  readonly #gatekeeper: Gatekeeper | undefined
  readonly #rules: AccessTable
  readonly #varyBy: string

  /** Throws `RangeError` for options that are unsafe or cannot work. */
  constructor(options: AuthenticationOptions, onError: (error: unknown) => void) {
    this.#jwt = options.jwt && new JwtVerifier(options.jwt, onError)
    this.#keys = options.apiKeys && new ApiKeys(options.apiKeys, onError)
    this.#gatekeeper = options.trustedHeader && new Gatekeeper(options.trustedHeader)
    this.#rules = new AccessTable(options.rules ?? [], onError)
    // Proxies tell users apart by cookies as well.
    this.#varyBy = this.#gatekeeper ? 'Authorization, Cookie' : 'Authorization'
  }

  /** Reads files and fetches keys; rejects with `RangeError` if a file cannot be used. */
  async open(): Promise<void> {
    await Promise.all([this.#jwt?.open(), this.#keys?.open(), this.#rules.open()])
  }

  /** Finds out who asks; reads nothing but headers. Wrong credentials are refused, missing ones are anybody's. */
  async identify(request: WireRequest): Promise<Identified> {
    const credentials = await this.#credentials(request)
    if ('rejection' in credentials) return credentials
    const rules = await this.#rules.current()
    const grants = [credentials.grants, ...grantsByRule(rules, credentials)].flat()
    return { ...credentials, grants, publicGrants: rules.get('anyone') ?? NOTHING, varyBy: this.#varyBy }
  }

  async #credentials(request: WireRequest): Promise<Credentials | { readonly rejection: Rejection }> {
    // A trusted proxy has judged whatever else the request carries.
    const vouched = this.#gatekeeper?.vouchedFor(request)
    if (vouched === 'malformed') return refused('The header of the trusted proxy names no single user.')
    if (vouched !== undefined) return known(vouched.subject, vouched.grants, undefined)
    const authorization = request.header('authorization')
    if (authorization === undefined || (this.#jwt ?? this.#keys) === undefined) return ANONYMOUS
    const credential = BEARER.exec(authorization)?.[1]
    if (credential === undefined) return refused('Authorization must be Bearer and a token or an API key.')
    return isApiKey(credential) ? this.#byKey(credential) : this.#byToken(credential)
  }

  async #byKey(credential: string): Promise<Credentials | { readonly rejection: Rejection }> {
    const key = await this.#keys?.find(credential)
    if (key === undefined) return refused('The API key is not known here.')
    const { id, grants } = key
    return { ...ANONYMOUS, isAnonymous: false, keyId: id, limitKey: `key:${id}`, grants }
  }

  async #byToken(token: string): Promise<Credentials | { readonly rejection: Rejection }> {
    const verdict = await this.#jwt?.verify(token)
    if (verdict === undefined) return refused('Tokens are not accepted here.')
    switch (verdict.kind) {
      case 'valid':
        return known(verdict.subject, verdict.grants, verdict.expiresAtMs)
      case 'refused':
        return refused(verdict.detail)
      case 'unavailable': {
        const detail = 'Tokens cannot be checked now, because their keys cannot be fetched: try again.'
        return { rejection: { kind: 'busy', detail } }
      }
    }
  }
}

function refused(detail: string): { readonly rejection: Rejection } {
  return { rejection: { kind: 'unauthenticated', isTokenWrong: true, detail } }
}

function known(sub: unknown, grants: readonly Grant[], expiresAtMs: number | undefined): Credentials {
  const isName = typeof sub === 'string' && sub !== '' && sub.length <= MAX_SUBJECT_LENGTH
  const subject = isName ? sub : undefined
  const limitKey = subject === undefined ? undefined : `subject:${subject}`
  return { isAnonymous: false, subject, limitKey, grants, expiresAtMs }
}

function grantsByRule(rules: RuleTable, credentials: Credentials): readonly (readonly Grant[])[] {
  const { isAnonymous, subject, keyId } = credentials
  return [
    rules.get('anyone') ?? NOTHING,
    (isAnonymous ? undefined : rules.get('authenticated')) ?? NOTHING,
    (subject === undefined ? undefined : rules.get(`subject:${subject}`)) ?? NOTHING,
    (keyId === undefined ? undefined : rules.get(`key:${keyId}`)) ?? NOTHING,
  ]
}
