/** A token that is renewed before it is over. It is kept in memory only: a reload asks for another one. */

/** A token, and for how long it can be used from the moment it was made. */
export interface MintedToken {
  readonly token: string
  readonly expiresInMs: number
}

/** Gives a token of which at least half of its life remains, so that a live answer can begin with it. */
export class FreshToken {
  readonly #mint: () => Promise<MintedToken>
  #minting: Promise<MintedToken> | undefined
  #renewAtMs = 0

  constructor(mint: () => Promise<MintedToken>) {
    this.#mint = mint
  }

  /** Asked by many at once it makes one token. Rejects with what making it failed with. */
  async get(): Promise<string> {
    // Not the clock of the day: it may be wrong, or be set.
    const nowMs = performance.now()
    if (this.#minting === undefined || nowMs >= this.#renewAtMs) {
      this.#renewAtMs = Number.POSITIVE_INFINITY
      this.#minting = this.#renew(nowMs)
    }
    return (await this.#minting).token
  }

  /** After a refusal: the next one is made anew. */
  forget(): void {
    this.#renewAtMs = 0
  }

  async #renew(nowMs: number): Promise<MintedToken> {
    try {
      const minted = await this.#mint()
      this.#renewAtMs = nowMs + minted.expiresInMs / 2
      return minted
    } catch (error) {
      this.#renewAtMs = 0
      throw error
    }
  }
}
