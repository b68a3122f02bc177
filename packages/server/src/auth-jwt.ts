/** JSON Web Tokens: which are accepted, and what is said about those that are not. Never says what is in one. */
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import { type KeySet, keySetOfFile, RemoteKeySet } from './auth-key-set.ts'
import type { JwtOptions, TokenAlgorithm } from './auth-options.ts'
import { type Grant, grantsOfClaims } from './auth-scopes.ts'
import { TokenCache } from './auth-token-cache.ts'

/** What a valid token says. */
export interface ValidToken {
  readonly kind: 'valid'
  readonly subject: unknown
  readonly grants: readonly Grant[]
  /** With the leeway. */
  readonly expiresAtMs: number
}

/** A token's verdict: what it says, why it is refused, or that nobody can tell at the moment. */
export type JwtVerdict =
  | ValidToken
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'unavailable' }

/** Longer tokens are refused unread. */
const MAX_TOKEN_LENGTH = 8192
const MIN_SECRET_BYTES = 32
/** Keys that a token without a key id is tried with, at most. */
const MAX_TRIES = 8
const SECRET_ALGORITHMS: readonly TokenAlgorithm[] = ['HS256']
const PUBLIC_ALGORITHMS: readonly TokenAlgorithm[] = ['RS256', 'ES256', 'EdDSA']

const REFUSED: JwtVerdict = { kind: 'refused', detail: 'The token is not valid.' }
const EXPIRED: JwtVerdict = { kind: 'refused', detail: 'The token has expired: get a new one.' }

interface CheckedToken {
  readonly payload: JWTPayload
  /** The keys among which the right one was. */
  readonly usedKeys: object
}

/** Checks tokens against one configuration. */
export class JwtVerifier {
  readonly #secret: Uint8Array | undefined
  readonly #keySet: KeySet | undefined
  readonly #options: JWTVerifyOptions
  readonly #leewayMs: number
  readonly #accepted = new TokenCache<ValidToken>(() => Date.now())

  /** Throws `RangeError` for options that are unsafe or cannot work. */
  constructor(options: JwtOptions, onError: (error: unknown) => void) {
    const { keys, leewaySeconds = 5, issuer, audience } = options
    if ('secret' in keys) this.#secret = toSecret(keys.secret)
    else {
      this.#keySet =
        'jwksFile' in keys
          ? keySetOfFile(keys.jwksFile, onError)
          : new RemoteKeySet(keys.jwksUrl, onError, () => performance.now())
    }
    if (!(leewaySeconds >= 0 && leewaySeconds <= 300)) {
      throw new RangeError('The leeway of tokens is 0 to 300 seconds.')
    }
    this.#leewayMs = leewaySeconds * 1000
    this.#options = {
      algorithms: [...allowed(options.algorithms, this.#secret ? SECRET_ALGORITHMS : PUBLIC_ALGORITHMS)],
      clockTolerance: leewaySeconds,
      requiredClaims: ['exp'],
      ...(issuer !== undefined && { issuer: toList(issuer) }),
      ...(audience !== undefined && { audience: toList(audience) }),
    }
  }

  /** Gets the keys for the first time. */
  async open(): Promise<void> {
    await this.#keySet?.open()
  }

  /** Judges one token. */
  async verify(token: string): Promise<JwtVerdict> {
    if (token.length > MAX_TOKEN_LENGTH) return REFUSED
    const keys = this.#secret ?? (await this.#keySet?.current())
    if (keys === undefined) return { kind: 'unavailable' }
    const known = this.#accepted.find(token, keys)
    if (known !== undefined) return known
    if (!this.#hasAllowedAlgorithm(token)) return REFUSED
    try {
      const { payload, usedKeys } = await this.#check(token, keys)
      const expiresAtMs = (payload.exp ?? 0) * 1000 + this.#leewayMs
      const verdict: ValidToken = {
        kind: 'valid',
        subject: payload.sub,
        grants: grantsOfClaims(payload),
        expiresAtMs,
      }
      this.#accepted.add(token, usedKeys, verdict, expiresAtMs)
      return verdict
    } catch (error) {
      return toVerdict(error)
    }
  }

  /** Before anything is fetched for its sake. */
  #hasAllowedAlgorithm(token: string): boolean {
    try {
      const { alg } = decodeProtectedHeader(token)
      return alg !== undefined && this.#options.algorithms?.includes(alg) === true
    } catch {
      // Whatever it is, it is no token.
      return false
    }
  }

  async #check(token: string, keys: Uint8Array | JWTVerifyGetKey): Promise<CheckedToken> {
    if (typeof keys !== 'function') {
      const { payload } = await jwtVerify(token, keys, this.#options)
      return { payload, usedKeys: keys }
    }
    try {
      return { payload: await this.#verifyWith(keys, token), usedKeys: keys }
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      const renewed = await this.#keySet?.renewed()
      if (renewed === undefined || renewed === keys) throw error
      return { payload: await this.#verifyWith(renewed, token), usedKeys: renewed }
    }
  }

  /** A token that does not say which key is tried with those that suit it. */
  async #verifyWith(keys: JWTVerifyGetKey, token: string): Promise<JWTPayload> {
    try {
      return (await jwtVerify(token, keys, this.#options)).payload
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      let tries = 0
      for await (const key of error) {
        if (++tries > MAX_TRIES) break
        try {
          return (await jwtVerify(token, key, this.#options)).payload
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
        }
      }
      throw new errors.JWSSignatureVerificationFailed()
    }
  }
}

/** Only what is wrong with the token; the token itself and its claims stay out of messages. */
function toVerdict(error: unknown): JwtVerdict {
  if (error instanceof errors.JWTExpired) return EXPIRED
  if (error instanceof errors.JWTClaimValidationFailed) {
    return { kind: 'refused', detail: `The claim "${error.claim}" of the token is not accepted here.` }
  }
  if (error instanceof errors.JOSEError) return REFUSED
  throw error
}

function toSecret(secret: string): Uint8Array {
  const bytes = new TextEncoder().encode(secret)
  if (bytes.length >= MIN_SECRET_BYTES) return bytes
  throw new RangeError(`The secret of tokens is at least ${MIN_SECRET_BYTES} bytes long.`)
}

/** A public key is known to everybody: taken for a secret, it would let anybody make tokens. */
function allowed(
  asked: readonly TokenAlgorithm[] | undefined,
  suitable: readonly TokenAlgorithm[],
): readonly TokenAlgorithm[] {
  const algorithms = asked ?? suitable
  const wrong = algorithms.find((algorithm) => !suitable.includes(algorithm))
  if (algorithms.length > 0 && wrong === undefined) return algorithms
  const suits = suitable.join(', ')
  throw new RangeError(`Tokens with these keys are signed by ${suits}, not ${wrong ?? 'nothing'}.`)
}

function toList(value: string | readonly string[]): string[] {
  return typeof value === 'string' ? [value] : [...value]
}
