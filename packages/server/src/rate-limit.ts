/** A limit on how often one client may ask: a bucket per address that fills at a fixed rate. */

interface Bucket {
  tokens: number
  filledAtMs: number
}

/** Clients remembered at a time; the one that asked least recently is forgotten, which only favours it. */
const MAX_CLIENTS = 10_000

/** Counts requests of clients. */
export class RateLimit {
  readonly #perSecond: number
  readonly #nowMs: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** `perSecond` requests, of which as many may come at once. */
  constructor(perSecond: number, nowMs: () => number) {
    this.#perSecond = perSecond
    this.#nowMs = nowMs
  }

  /** Counts a request; returns the seconds to wait if it is one too many, otherwise `undefined`. */
  take(client: string): number | undefined {
    const nowMs = this.#nowMs()
    const bucket = this.#buckets.get(client) ?? { tokens: this.#perSecond, filledAtMs: nowMs }
    const filled = bucket.tokens + ((nowMs - bucket.filledAtMs) / 1000) * this.#perSecond
    bucket.tokens = Math.min(this.#perSecond, filled)
    bucket.filledAtMs = nowMs
    this.#buckets.delete(client)
    this.#buckets.set(client, bucket)
    this.#forgetOldest()
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / this.#perSecond))
    bucket.tokens--
    return undefined
  }

  #forgetOldest(): void {
    if (this.#buckets.size <= MAX_CLIENTS) return
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest)
      return
    }
  }
}
