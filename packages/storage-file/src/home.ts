/**
 * The home port: a sorted map from keys to values on disk, changed by atomic transactions. It keeps what must be
 * found again without reading the journal. Reads are synchronous. Keys are ASCII strings, ordered bytewise.
 */

/** One change of a transaction; `undefined` removes the key. */
export type HomeChange = readonly [key: string, value: Uint8Array | undefined]

/** The sorted map. */
export interface Home {
  /** A copy that the caller may keep; throws `HomeCorrupt` if what is stored is not what was written. */
  get(key: string): Uint8Array | undefined
  /** Entries with `from <= key < to`, in order, at most `limit`. */
  range(from: string, to: string, limit: number): readonly (readonly [key: string, value: Uint8Array])[]
  /** One transaction: all changes or none. Resolves when it would survive a power cut, not before. */
  commit(changes: readonly HomeChange[]): Promise<void>
  close(): Promise<void>
}

/** What a home can do beside: a copy on disk of what is committed, for a snapshot. */
export interface HomeCopying {
  /**
   * Copies everything committed into a folder beside the home, made for it, off the main thread; its data file must
   * not exist. Commits made meanwhile follow the copy.
   */
  copyBeside(folder: string): Promise<void>
}

/** Whether a home can be copied. The one in memory cannot. */
export function canCopy(home: Home): home is Home & HomeCopying {
  return 'copyBeside' in home
}

/** A home that is only looked at. */
export interface ReadableHome extends Pick<Home, 'get' | 'range'> {
  /** How many entries it says it has; `undefined` if it does not count them. */
  readonly entryCount: number | undefined
}

/** A stored value does not match its checksum. */
export class HomeCorrupt extends Error {
  override readonly name = 'HomeCorrupt'
  readonly key: string

  constructor(key: string) {
    super(`the value stored under ${JSON.stringify(key)} is damaged`)
    this.key = key
  }
}

/** The home, or the data in it, is missing beside data that needs it: something other than a crash took it away. */
export class HomeLost extends Error {
  override readonly name = 'HomeLost'
}

/** What should be the home is something else. */
export class HomeUnreadable extends Error {
  override readonly name = 'HomeUnreadable'
}
