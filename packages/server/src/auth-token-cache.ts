/** Tokens that were found valid: checking a signature again costs more than serving the request. */
import { createHash } from 'node:crypto'

interface Entry<T> {
  readonly value: T
  /** The keys that the token was checked with; other keys have to check it again. */
  readonly keys: object
  readonly untilMs: number
}

/** Tokens remembered at a time; beyond it the one remembered first is checked again. */
export const MOST_TOKENS = 10_000

/** Remembers what valid tokens say, by their hashes: the tokens themselves are not kept. */
export class TokenCache<T> {
  readonly #entries = new Map<string, Entry<T>>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** What was remembered of a token; `undefined` once it has expired or the keys are others. */
  find(token: string, keys: object): T | undefined {
    const hash = hashOf(token)
    const entry = this.#entries.get(hash)
    if (entry === undefined) return undefined
    if (entry.keys === keys && this.#nowMs() < entry.untilMs) return entry.value
    this.#entries.delete(hash)
    return undefined
  }

  /** Remembers a valid token until it expires. */
  add(token: string, keys: object, value: T, untilMs: number): void {
    if (this.#entries.size >= MOST_TOKENS) {
      for (const first of this.#entries.keys()) {
        this.#entries.delete(first)
        break
      }
    }
    this.#entries.set(hashOf(token), { value, keys, untilMs })
  }

  get size(): number {
    return this.#entries.size
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
