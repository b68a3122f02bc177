/** A bounded number of open block files. A file is never closed while somebody reads from it. */
import type { Disk, DiskFile } from './disk.ts'

interface OpenFile {
  readonly file: Promise<DiskFile>
  users: number
  /** Nobody new may use it; it closes with its last user. */
  isLeaving: boolean
}

/** Opens files by name, keeps the most recently used ones open. */
export class OpenFiles {
  readonly #disk: Disk
  readonly #most: number
  readonly #open = new Map<string, OpenFile>()
  #leaving: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(disk: Disk, most: number) {
    this.#disk = disk
    this.#most = most
  }

  /** Runs an operation on an open file. */
  async use<T>(name: string, operation: (file: DiskFile) => Promise<T>): Promise<T> {
    const open = this.#take(name)
    open.users++
    try {
      return await operation(await open.file)
    } finally {
      open.users--
      await this.#closeIfLeft(open)
    }
  }

  /** Lets a file go, now or with its last user. */
  async release(name: string): Promise<void> {
    const open = this.#open.get(name)
    if (open === undefined) return
    this.#open.delete(name)
    open.isLeaving = true
    await this.#closeIfLeft(open)
  }

  /** A reader that has not heard of it yet opens its files anew, and closes them itself. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const name of [...this.#open.keys()]) await this.release(name)
    await this.#leaving
  }

  /** Closes a file behind everybody's back; that it was only read makes a failure to close it harmless. */
  #letGo(name: string): void {
    const released = this.release(name).catch(() => undefined)
    this.#leaving = this.#leaving.then(() => released)
  }

  #take(name: string): OpenFile {
    const known = this.#open.get(name)
    if (known !== undefined) {
      this.#open.delete(name)
      this.#open.set(name, known)
      return known
    }
    const opened: OpenFile = { file: this.#disk.open(name), users: 0, isLeaving: this.#isClosed }
    if (this.#isClosed) return opened
    this.#open.set(name, opened)
    // The user sees why it cannot be opened; the next one tries again.
    opened.file.catch(() => this.#open.delete(name))
    for (const [oldest, { users }] of this.#open) {
      if (this.#open.size <= this.#most) break
      if (users === 0 && oldest !== name) this.#letGo(oldest)
    }
    return opened
  }

  async #closeIfLeft(open: OpenFile): Promise<void> {
    if (!open.isLeaving || open.users > 0) return
    open.isLeaving = false
    await (await open.file).close()
  }
}
