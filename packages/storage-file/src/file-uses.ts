/** How much of each block file is in use, as a series of changes of the home makes it. */
import type { Home, HomeChange } from './home.ts'
import { fileKey } from './home-keys.ts'
import { decodeUse, encodeUse, type FileUse } from './state-codec.ts'

/** What the home says, and what has been added since; right for as long as nobody else changes it. */
export class FileUses {
  readonly #home: Home
  readonly #uses = new Map<number, FileUse>()

  constructor(home: Home) {
    this.#home = home
  }

  add(file: number, grownBytes: number, liveBytes: number): void {
    const known = this.#uses.get(file) ?? this.#stored(file)
    this.#uses.set(file, {
      sizeBytes: known.sizeBytes + grownBytes,
      liveBytes: known.liveBytes + liveBytes,
    })
  }

  /** Of every file that was added to, so that each transaction agrees with itself. */
  changes(): readonly HomeChange[] {
    return [...this.#uses].map(([file, use]): HomeChange => [fileKey(file), encodeUse(use)])
  }

  #stored(file: number): FileUse {
    const value = this.#home.get(fileKey(file))
    return value === undefined ? { sizeBytes: 0, liveBytes: 0 } : decodeUse(value)
  }
}
