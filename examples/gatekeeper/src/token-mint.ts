/** Makes the tokens that the streams are opened with: short-lived, and each for one purpose. */
import { SignJWT } from 'jose'
import { ALGORITHM, type KeyRing } from './key-ring.ts'
import type { MintedToken } from './page/fresh-token.ts'

/** What tokens are for: Millrace refuses tokens of the same issuer for anything else. */
export const AUDIENCE = 'gatekeeper-streams'

const APP_TOKEN_SECONDS = 300

interface StreamGrant {
  readonly paths: readonly string[]
  readonly operations: readonly string[]
}

/** Whoever has this object can make tokens. */
export class TokenMint {
  readonly #keys: KeyRing
  readonly #issuer: string
  readonly #userSeconds: number

  constructor(keys: KeyRing, issuer: string, userSeconds: number) {
    this.#keys = keys
    this.#issuer = issuer
    this.#userSeconds = userSeconds
  }

  /** For a user's browser: to read this user's streams, and nothing else. */
  forUser(userId: string): Promise<MintedToken> {
    const own = [{ paths: [`users/${userId}/**`], operations: ['read'] }]
    return this.#mint(userId, own, this.#userSeconds)
  }

  /** For the app itself, which alone writes. */
  forApp(): Promise<MintedToken> {
    const all = [{ paths: ['users/**'], operations: ['create', 'append', 'delete'] }]
    return this.#mint('app', all, APP_TOKEN_SECONDS)
  }

  async #mint(subject: string, streams: readonly StreamGrant[], seconds: number): Promise<MintedToken> {
    const { kid, key } = await this.#keys.current()
    const nowMs = Date.now()
    const expiresAt = Math.floor(nowMs / 1000) + seconds
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
