/**
 * The home in memory, for simulations and tests: the twin of the one in LMDB, with the same contract, whose flushes
 * can be delayed or failed, and which can crash. Not for servers.
 */
import { DiskFull } from './disk.ts'
import type { Home, HomeChange } from './home.ts'
import { assertHomeKey, decodeStored, encodeChanges, type StoredChange } from './home-value.ts'

/** `flushed`: it is on disk. `full`: nothing changed. `failed`: it may be on disk or not; nothing more is written. */
export type FlushOutcome = 'flushed' | 'full' | 'failed'

/** What decides over a memory home; all of it may come from one seed. */
export interface MemoryHomeOptions {
  /**
   * Called when a transaction is about to be written, with its number, counted from 1; what it resolves with is the
   * end of its flush. A crash may come meanwhile. Flushes at once unless given.
   */
  readonly flush?: (transaction: number) => FlushOutcome | Promise<FlushOutcome>
  /** Whether a transaction whose flush had not ended, or had failed, is found after a crash. Never unless given. */
  readonly survives?: () => boolean
}

/** A home in memory that can crash. */
export class MemoryHome implements Home {
  readonly #options: MemoryHomeOptions
  readonly #entries: Map<string, Uint8Array>
  #sortedKeys: readonly string[] | undefined
  #last: Promise<void> = Promise.resolve()
  #transactions: number
  /** The transaction that is being flushed, or whose flush failed. */
  #unsure: readonly StoredChange[] | undefined
  #failure: Error | undefined
  #state: 'open' | 'closed' | 'crashed' = 'open'
  /** Ends the wait for a flush that a crash has made pointless. */
  #stopWaiting: (() => void) | undefined

  constructor(options: MemoryHomeOptions = {}) {
    this.#options = options
    this.#entries = new Map()
    this.#transactions = 0
  }

  get(key: string): Uint8Array | undefined {
    this.#refuseUnlessOpen()
    assertHomeKey(key)
    const stored = this.#entries.get(key)
    return stored && decodeStored(key, stored).slice()
  }

  range(from: string, to: string, limit: number): readonly (readonly [key: string, value: Uint8Array])[] {
    this.#refuseUnlessOpen()
    assertHomeKey(from)
    assertHomeKey(to)
    this.#sortedKeys ??= [...this.#entries.keys()].sort()
    const keys = this.#sortedKeys
    const found: (readonly [string, Uint8Array])[] = []
    for (let at = firstFrom(keys, from); found.length < limit; at++) {
      const key = keys[at]
      const stored = key === undefined ? undefined : this.#entries.get(key)
      if (key === undefined || stored === undefined || key >= to) break
      found.push([key, decodeStored(key, stored).slice()])
    }
    return found
  }

  /** Visible once flushed, as in LMDB. Rejects with `DiskFull` when it may be tried again. */
  async commit(changes: readonly HomeChange[]): Promise<void> {
    this.#refuseUnlessOpen()
    const stored = encodeChanges(changes)
    const turn = this.#last.then(() => this.#commitInTurn(stored))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Waits for the commits under way. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    await this.#last
  }

  /**
   * What is found after a crash of the machine: every flushed transaction, and the one that was under way as
   * `survives` says. From then on this home refuses every call, and commits under way reject.
   */
  crash(): MemoryHome {
    this.#state = 'crashed'
    this.#stopWaiting?.()
    const after = new MemoryHome(this.#options)
    for (const [key, stored] of this.#entries) after.#entries.set(key, stored)
    after.#transactions = this.#transactions
    if (this.#unsure !== undefined && this.#options.survives?.() === true) after.#apply(this.#unsure)
    return after
  }

  /** Flips a bit of what is stored under a key, in its checksum or its value. */
  flipBit(key: string, bit: number): void {
    const stored = this.#entries.get(key)?.slice()
    const index = bit >> 3
    const byte = stored?.[index]
    if (stored === undefined || byte === undefined)
      throw new RangeError(`there is no bit ${bit} under ${key}`)
    stored[index] = byte ^ (1 << (bit & 7))
    this.#entries.set(key, stored)
  }

  async #commitInTurn(changes: readonly StoredChange[]): Promise<void> {
    this.#refuseIfCrashed()
    if (this.#failure !== undefined) throw this.#failure
    if (changes.length === 0) return
    this.#unsure = changes
    const outcome = await this.#flush()
    this.#refuseIfCrashed()
    if (outcome === 'failed') {
      this.#failure = new Error('the home failed to write')
      throw this.#failure
    }
    this.#unsure = undefined
    if (outcome === 'full') throw new DiskFull('no room for a change of the home')
    this.#apply(changes)
  }

  async #flush(): Promise<FlushOutcome> {
    const outcome = this.#options.flush?.(++this.#transactions) ?? 'flushed'
    if (typeof outcome === 'string') return outcome
    const crashed = new Promise<FlushOutcome>((resolve) => {
      this.#stopWaiting = () => resolve('failed')
    })
    return Promise.race([outcome, crashed])
  }

  #apply(changes: readonly StoredChange[]): void {
    for (const { key, stored } of changes) {
      if (stored === undefined) this.#entries.delete(key)
      else this.#entries.set(key, stored)
    }
    this.#sortedKeys = undefined
  }

  #refuseUnlessOpen(): void {
    if (this.#state !== 'open') throw new Error(`the home is ${this.#state}`)
  }

  #refuseIfCrashed(): void {
    if (this.#state === 'crashed') throw new Error('the home is crashed')
  }
}

/** Index of the first key that is not below `from`. */
function firstFrom(keys: readonly string[], from: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((keys[middle] ?? '') < from) low = middle + 1
    else high = middle
  }
  return low
}
