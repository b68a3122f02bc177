/** Makes the tokens that the streams are opened with: short-lived, and each for one purpose. */
import { SignJWT } from 'jose'
import { ALGORITHM, type KeyRing } from './key-ring.ts'
import type { MintedToken } from './page/fresh-token.ts'

/** What tokens are for: Millrace refuses tokens of the same issuer for anything else. */
export const AUDIENCE = 'gatekeeper-streams'

interface StreamGrant {
  readonly paths: readonly string[]
  readonly operations: readonly string[]
}

/** Whoever has this object can make tokens. */
export class TokenMint {
  readonly #keys: KeyRing
  readonly #issuer: string
  readonly #seconds: number

  constructor(keys: KeyRing, issuer: string, seconds: number) {
    this.#keys = keys
    this.#issuer = issuer
    this.#seconds = seconds
  }

  /** For a user's browser: to read this user's streams, and nothing else. */
  forUser(userId: string): Promise<MintedToken> {
    return this.#mint(userId, [{ paths: [`users/${userId}/**`], operations: ['read'] }])
  }

  /** For the app itself, which alone writes. */
  forApp(): Promise<MintedToken> {
    return this.#mint('app', [{ paths: ['users/**'], operations: ['create', 'append', 'delete'] }])
  }

  async #mint(subject: string, streams: readonly StreamGrant[]): Promise<MintedToken> {
    const { kid, key } = await this.#keys.current()
    const nowMs = Date.now()
    const expiresAt = Math.floor(nowMs / 1000) + this.#seconds
    const token = await new SignJWT({ streams })
      .setProtectedHeader({ alg: ALGORITHM, kid })
      .setIssuer(this.#issuer)
      .setAudience(AUDIENCE)
      .setSubject(subject)
      .setExpirationTime(expiresAt)
      .sign(key)
    return { token, expiresInMs: expiresAt * 1000 - nowMs }
  }
}
