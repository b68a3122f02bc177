/** API keys: made here, kept as hashes, compared in constant time. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { listIn, WatchedFile } from './auth-file.ts'
import type { ApiKey } from './auth-options.ts'
import { configuredGrants, type Grant } from './auth-scopes.ts'

/** A new key: `key` is for its user and kept nowhere, `entry` for the server. */
export interface CreatedApiKey {
  readonly key: string
  readonly entry: ApiKey
}

const SECRET_BYTES = 32
const ID = /^[A-Za-z0-9-]{1,64}$/
const KEY = /^mrk_([A-Za-z0-9-]{1,64})_[A-Za-z0-9_-]{43}$/

/**
 * Makes an API key of 256 random bits that permits what its scopes say. The id names it in files and rules; a random
 * one unless given. Throws `RangeError` for an id that is not made of 1 to 64 letters, digits and hyphens, and for a
 * scope that is none.
 */
export function createApiKey(
  scopes: ApiKey['scopes'],
  id: string = randomBytes(6).toString('hex'),
): CreatedApiKey {
  if (!ID.test(id)) throw new RangeError(`The id of a key is letters, digits and hyphens, not ${id}.`)
  const key = `mrk_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`
  const entry: ApiKey = { id, hash: hashOf(key).toString('hex'), scopes }
  // It will be read like this, so that what is wrong with it is said now.
  toKnownKey(entry)
  return { key, entry }
}

/** Whether a credential has the form of an API key. */
export function isApiKey(credential: string): boolean {
  return KEY.test(credential)
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** A known key and what it permits. */
export interface KnownKey {
  readonly id: string
  readonly hash: Buffer
  readonly grants: readonly Grant[]
}

type KeyTable = ReadonlyMap<string, KnownKey>

/** Compared with where the id is unknown, so that it takes as long. */
const NOBODY = Buffer.alloc(SECRET_BYTES)

/** The keys that a server knows. */
export class ApiKeys {
  readonly #file: WatchedFile<KeyTable> | undefined
  readonly #table: KeyTable

  /** Throws `RangeError` if a key is not as it has to be. */
  constructor(keys: readonly ApiKey[] | { readonly file: string }, onError: (error: unknown) => void) {
    this.#file = 'file' in keys ? new WatchedFile(keys.file, parseKeyFile, onError) : undefined
    this.#table = 'file' in keys ? new Map() : toTable(keys)
  }

  /** Reads the file, if they are in one. */
  async open(): Promise<void> {
    await this.#file?.open()
  }

  /** The key that was sent, if it is a known one. */
  async find(key: string): Promise<KnownKey | undefined> {
    const table = (await this.#file?.current()) ?? this.#table
    const known = table.get(KEY.exec(key)?.[1] ?? '')
    return timingSafeEqual(hashOf(key), known?.hash ?? NOBODY) ? known : undefined
  }
}

function parseKeyFile(text: string): KeyTable {
  return toTable(listIn(text, 'keys'))
}

function toTable(keys: readonly unknown[]): KeyTable {
  const table = new Map<string, KnownKey>()
  for (const key of keys) {
    const known = toKnownKey(key)
    if (table.has(known.id)) throw new RangeError(`there are two API keys with the id ${known.id}.`)
    table.set(known.id, known)
  }
  return table
}

function toKnownKey(key: unknown): KnownKey {
  const { id, hash, scopes }: Readonly<Record<string, unknown>> = Object.fromEntries(
    Object.entries(key ?? {}),
  )
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new RangeError('the id of an API key is letters, digits and hyphens.')
  }
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/i.test(hash)) {
    throw new RangeError(`the hash of the API key ${id} is not a SHA-256 in hex.`)
  }
  if (!Array.isArray(scopes)) throw new RangeError(`the API key ${id} has no list of scopes.`)
  return { id, hash: Buffer.from(hash, 'hex'), grants: configuredGrants(scopes, `the API key ${id}`) }
}
