/** Public keys of whoever issues tokens: fetched, kept, and fetched again when they are rotated. */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import { WatchedFile } from './auth-file.ts'

/** Finds the key that a token says it is signed with. */
export interface KeySet {
  /** Rejects if there can be no keys. */
  open(): Promise<void>
  /** `undefined` while there are no keys to look in. */
  current(): Promise<JWTVerifyGetKey | undefined>
  /** The keys after a token named one that is not in them: newer ones, if it is time to look again. */
  renewed(): Promise<JWTVerifyGetKey | undefined>
}

/** Keys of a file. */
export function keySetOfFile(path: string, onError: (error: unknown) => void): KeySet {
  const file = new WatchedFile(path, parseKeySet, onError)
  return { open: () => file.open(), current: () => file.current(), renewed: () => file.current() }
}

function parseKeySet(text: string): JWTVerifyGetKey {
  const parsed: unknown = JSON.parse(text)
  const { keys }: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(parsed ?? {}))
  if (!Array.isArray(keys)) throw new RangeError('it is no JWKS: it has no list "keys".')
  try {
    return createLocalJWKSet({ keys })
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new RangeError('it is no JWKS.')
    throw error
  }
}

/** How long keys are used before newer ones are asked for. */
const FRESH_MS = 10 * 60_000
/** How often a token with an unknown key makes them be asked for, at most: anybody can make one up. */
const COOLDOWN_MS = 30_000
/** The same while there are no keys at all. */
const FIRST_COOLDOWN_MS = 1000
/** How long keys that cannot be renewed count; by then the issuer may have withdrawn them long since. */
const TRUSTED_MS = 24 * 3_600_000
const FETCH_TIMEOUT_MS = 5000
const MAX_BYTES = 1024 * 1024

/** Keys of a URL. What was fetched is used for a day while the issuer cannot be reached. */
export class RemoteKeySet implements KeySet {
  readonly #url: URL
  readonly #onError: (error: unknown) => void
  readonly #elapsedMs: () => number
  #keys: JWTVerifyGetKey | undefined
  #fetchedAtMs = Number.NEGATIVE_INFINITY
  #askedAtMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  /** Throws `RangeError` for a URL that anybody on the way could answer. */
  constructor(url: string, onError: (error: unknown) => void, elapsedMs: () => number) {
    this.#url = safeUrl(url)
    this.#onError = onError
    this.#elapsedMs = elapsedMs
  }

  /** An issuer that is down must not keep the server from starting: tokens are answered 503 until it is back. */
  async open(): Promise<void> {
    await this.#ask()
  }

  async current(): Promise<JWTVerifyGetKey | undefined> {
    const age = this.#elapsedMs() - this.#fetchedAtMs
    if (age < FRESH_MS) return this.#keys
    const isTrusted = age < TRUSTED_MS
    if (this.#isTimeToAsk(isTrusted ? COOLDOWN_MS : FIRST_COOLDOWN_MS)) {
      const asked = this.#ask()
      if (!isTrusted) await asked
    } else if (!isTrusted) await this.#asking
    return this.#elapsedMs() - this.#fetchedAtMs < TRUSTED_MS ? this.#keys : undefined
  }

  async renewed(): Promise<JWTVerifyGetKey | undefined> {
    if (this.#isTimeToAsk(COOLDOWN_MS)) await this.#ask()
    else await this.#asking
    return this.#keys
  }

  #isTimeToAsk(cooldownMs: number): boolean {
    return this.#asking === undefined && this.#elapsedMs() - this.#askedAtMs >= cooldownMs
  }

  #ask(): Promise<void> {
    this.#askedAtMs = this.#elapsedMs()
    this.#asking = this.#fetch()
      .catch((error: unknown) => {
        const cause = error instanceof Error ? error : undefined
        this.#onError(new Error(`The keys of ${this.#url.href} could not be fetched.`, { cause }))
      })
      .finally(() => {
        this.#asking = undefined
      })
    return this.#asking
  }

  async #fetch(): Promise<void> {
    const response = await fetch(this.#url, {
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      headers: { accept: 'application/jwk-set+json, application/json' },
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`The answer was ${response.status}.`)
    }
    this.#keys = parseKeySet(await boundedText(response))
    this.#fetchedAtMs = this.#elapsedMs()
  }
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MAX_BYTES) throw new Error(`The answer is larger than ${MAX_BYTES} bytes.`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text
}

function safeUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isLocal = url?.protocol === 'http:' && /^(?:localhost|127\.[0-9.]+|\[::1\])$/.test(url.hostname)
  if (
    url === undefined ||
    (url.protocol !== 'https:' && !isLocal) ||
    url.username !== '' ||
    url.password !== ''
  ) {
    throw new RangeError('The JWKS URL is https (http on loopback only) and has no user name in it.')
  }
  return url
}
