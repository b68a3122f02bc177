/**
 * Snapshots of an open store, for backups: the state at one checkpoint, held while its files are being read. Block
 * files are immutable below their recorded size, so holding back their removal is all they need; the home is copied.
 */
import { randomUUID } from 'node:crypto'
import { type Clock, Fault, type Timer } from '@millrace/engine'
import { BLOCK_FILE_HEADER_BYTES, blockFileName } from './block-files.ts'
import type { Disk, DiskFile } from './disk.ts'
import { canCopy, type Home } from './home.ts'
import { APPLIED_KEY, fileOf, prefixEnd, STORE_KEY } from './home-keys.ts'
import { HOME_FILE } from './home-walk.ts'
import type { StoreLimits } from './limits.ts'
import { decodeUse, textOf } from './state-codec.ts'

/** Folder of the home's copy in the data directory. */
export const SNAPSHOT_FOLDER = 'snapshot'
const HOME_COPY = `${SNAPSHOT_FOLDER}/data.mdb`

/** One file of a snapshot, by its name in a data directory, and how many bytes of it belong to the snapshot. */
export interface SnapshotFile {
  readonly name: string
  readonly bytes: number
}

/** A store as it was at one checkpoint. Unused for ten minutes it ends by itself. */
export interface StoreSnapshot {
  /** The same for every snapshot of one store; a restored store is another one. */
  readonly storeId: string
  /** Sequence of the last journal record in it. */
  readonly sequence: number
  readonly atMs: number
  /** Block files, then the home. */
  readonly files: readonly SnapshotFile[]
  /** Bytes `from` to `to` of a file, all of them. Throws `SnapshotOver`, or `RangeError` for what is not in it. */
  read(name: string, from: number, to: number): Promise<Uint8Array>
  /** Gives the files up; harmless when it is over already. */
  end(): Promise<void>
}

/** The snapshot was ended, unused for too long, or its store was closed: begin another one. */
export class SnapshotOver extends Error {
  override readonly name = 'SnapshotOver'
}

/** Another snapshot is open: one at a time holds files back. */
export class SnapshotBusy extends Error {
  override readonly name = 'SnapshotBusy'
}

/** What snapshots need of their store. */
export interface SnapshotSource {
  readonly disk: Disk
  readonly home: Home
  readonly limits: StoreLimits
  readonly clock: Clock
  /** The raw bytes of a block file. */
  readBlocks(file: number, at: number, length: number): Promise<Uint8Array>
  /** Runs work while home and blocks hold everything committed before, and nothing changes them. */
  whileSettled<T>(work: () => Promise<T>): Promise<T>
  /** Files are no longer held back. */
  onReleased(): void
}

/** Removes what a snapshot left that was open when the process ended. */
export async function removeSnapshotCopy(disk: Disk): Promise<void> {
  for (const name of await disk.list(SNAPSHOT_FOLDER)) await disk.remove(`${SNAPSHOT_FOLDER}/${name}`)
}

/** Opens the snapshots of one store, one at a time. */
export class Snapshots {
  readonly #source: SnapshotSource
  #open: OpenSnapshot | undefined
  #isBusy = false

  constructor(source: SnapshotSource) {
    this.#source = source
  }

  /** Whether a block file has to stay as it is. */
  holds(file: number): boolean {
    return this.#open?.blockFiles.has(file) === true
  }

  /** Everything committed before the call is in it. Throws `SnapshotBusy`, or what keeps the store from writing. */
  async begin(): Promise<StoreSnapshot> {
    if (this.#isBusy) throw new SnapshotBusy('Another snapshot of the store is open.')
    this.#isBusy = true
    try {
      return await this.#source.whileSettled(() => this.#take())
    } catch (error) {
      this.#isBusy = false
      throw error
    }
  }

  /** Ends the one that is open. */
  async close(): Promise<void> {
    await this.#open?.end()
  }

  async #take(): Promise<StoreSnapshot> {
    const { disk, home, clock, limits } = this.#source
    if (!canCopy(home)) throw new Fault('unavailable', 'The home of this store cannot be copied.')
    const storeId = await identityOf(home)
    await removeSnapshotCopy(disk)
    await home.copyBeside(SNAPSHOT_FOLDER)
    const copy = await disk.open(HOME_COPY)
    const blockFiles = new Map<number, number>()
    for (const [key, value] of home.range('f/', prefixEnd('f/'), Number.POSITIVE_INFINITY)) {
      blockFiles.set(fileOf(key), BLOCK_FILE_HEADER_BYTES + decodeUse(value).sizeBytes)
    }
    const applied = home.get(APPLIED_KEY)
    const snapshot = new OpenSnapshot({
      storeId,
      sequence: applied === undefined ? 0 : Number(textOf(applied)),
      atMs: clock.nowMs(),
      blockFiles,
      copy,
      copyBytes: await copy.size(),
      clock,
      idleMs: limits.snapshotIdleMs,
      readBlocks: this.#source.readBlocks,
      release: () => this.#release(),
    })
    this.#open = snapshot
    return snapshot
  }

  async #release(): Promise<void> {
    this.#open = undefined
    await removeSnapshotCopy(this.#source.disk)
    this.#isBusy = false
    this.#source.onReleased()
  }
}

/** Given at the first snapshot, so that stores without backups need none. */
async function identityOf(home: Home): Promise<string> {
  const stored = home.get(STORE_KEY)
  if (stored !== undefined) return textOf(stored)
  const made = randomUUID()
  await home.commit([[STORE_KEY, Buffer.from(made)]])
  return made
}

interface SnapshotParts {
  readonly storeId: string
  readonly sequence: number
  readonly atMs: number
  /** Bytes of each block file. */
  readonly blockFiles: ReadonlyMap<number, number>
  readonly copy: DiskFile
  readonly copyBytes: number
  readonly clock: Clock
  readonly idleMs: number
  readBlocks(file: number, at: number, length: number): Promise<Uint8Array>
  release(): Promise<void>
}

type ReadFile = (from: number, length: number) => Promise<Uint8Array>

class OpenSnapshot implements StoreSnapshot {
  readonly storeId: string
  readonly sequence: number
  readonly atMs: number
  readonly files: readonly SnapshotFile[]
  readonly blockFiles: ReadonlyMap<number, number>
  readonly #parts: SnapshotParts
  readonly #contents = new Map<string, SnapshotFile & { readonly read: ReadFile }>()
  #usedAtMs: number
  #timer: Timer
  #ending: Promise<void> | undefined

  constructor(parts: SnapshotParts) {
    const { storeId, sequence, atMs, blockFiles, copy, copyBytes, clock, idleMs } = parts
    this.#parts = parts
    this.storeId = storeId
    this.sequence = sequence
    this.atMs = atMs
    this.blockFiles = blockFiles
    for (const [file, bytes] of blockFiles) {
      const name = blockFileName(file)
      const read: ReadFile = (from, length) => parts.readBlocks(file, from, length)
      this.#contents.set(name, { name, bytes, read })
    }
    const read: ReadFile = (from, length) => copy.read(from, length)
    this.#contents.set(HOME_FILE, { name: HOME_FILE, bytes: copyBytes, read })
    this.files = [...this.#contents.values()].map(({ name, bytes }) => ({ name, bytes }))
    this.#usedAtMs = clock.elapsedMs()
    this.#timer = this.#endWhenIdle(idleMs)
  }

  async read(name: string, from: number, to: number): Promise<Uint8Array> {
    if (this.#ending !== undefined) throw new SnapshotOver('The snapshot is over.')
    const content = this.#contents.get(name)
    if (content === undefined) throw new RangeError(`${name} is not in the snapshot`)
    if (!(from >= 0 && from <= to && to <= content.bytes)) {
      throw new RangeError(`${name} has ${content.bytes} bytes, not those from ${from} to ${to}`)
    }
    this.#usedAtMs = this.#parts.clock.elapsedMs()
    const bytes = await content.read(from, to - from)
    this.#usedAtMs = this.#parts.clock.elapsedMs()
    if (bytes.length < to - from) {
      throw new Fault('corrupt', `${name} ends at byte ${from + bytes.length}, but the store wrote more.`)
    }
    return bytes
  }

  end(): Promise<void> {
    this.#timer.cancel()
    this.#ending ??= this.#parts.copy.close().finally(() => this.#parts.release())
    return this.#ending
  }

  #endWhenIdle(afterMs: number): Timer {
    const { clock, idleMs } = this.#parts
    return clock.setTimer(afterMs, () => {
      const leftMs = this.#usedAtMs + idleMs - clock.elapsedMs()
      if (leftMs > 0) this.#timer = this.#endWhenIdle(leftMs)
      // Nobody waits for it: what it could not remove, the next snapshot or the next start does.
      else this.end().catch(() => undefined)
    })
  }
}
