/**
 * The home in LMDB. Everything that is known of the `lmdb` package stays in this file: which calls make one
 * transaction, when it is flushed, and what must never be called again after a failure.
 */
import { chmod, mkdir, open as openFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { DiskFull, type DiskLock } from './disk.ts'
import {
  type Home,
  type HomeChange,
  type HomeCopying,
  HomeCorrupt,
  HomeLost,
  HomeUnreadable,
  type ReadableHome,
} from './home.ts'
import { assertHomeKey, decodeStored, encodeChanges, type StoredChange } from './home-value.ts'
import { syncFolder } from './node-disk.ts'
import { lockFile } from './node-lock.ts'

const DATA_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'
/** Each of LMDB's first two pages has a header, and then its magic number. */
const MAGIC_AT = 24
const MAGIC = 0xbeefc0de
const SMALLEST_BYTES = 2 * 4096
/** A full disk cuts LMDB's last write short, which it reports as an I/O error; then next to nothing is free. */
const FULL_BELOW_BYTES = 4 * 1024 * 1024
const ENOSPC = 28
const EFBIG = 27
const EDQUOT = process.platform === 'linux' ? 122 : 69
const EIO = 5
/** LMDB's own words for pages that make no sense. */
const DAMAGE_CODES: ReadonlySet<unknown> = new Set([-30797, -30796])

/** What a home in LMDB takes from around it. */
export interface LmdbHomeOptions {
  /** Bytes that may still be written where a folder is. What the file system says, unless given. */
  readonly freeBytes?: (folder: string) => Promise<number>
  /** False: a missing folder is not made, but a loss. */
  readonly mayCreate?: boolean
}

/**
 * Opens the home in a folder, or creates it there: a crash leaves a complete one or none, and its entry survives a
 * power cut once this has resolved. One process at a time: throws `DiskLocked` for a second. Throws `HomeLost` if the
 * folder has lost its data, or is missing and may not be made; `HomeUnreadable` if what is there is no home.
 *
 * - `commit` is one transaction of LMDB, written off the main thread, in the order of the calls. With
 *   `overlappingSync` off the lmdb package lets LMDB work as it was designed: pages are written and `fdatasync`ed,
 *   then the meta page is written through a descriptor opened with `O_DSYNC`, then readers see it, then the promise
 *   resolves. So committed means flushed; `db.flushed` waits for the same promise. (With it on, a start after a
 *   crash of the process takes up transactions that were never flushed, and a commit has two ends.)
 * - The puts of a commit are made in one turn of the event loop: about half a microsecond each, but above 1,000 the
 *   package hands the first ones to its writer while the others are made, and they wait for each other. Bound the changes.
 * - A full disk rejects with `DiskFull`: nothing changed, the commit may be tried again. After any other failure every
 *   further commit is refused with the first one's error, because LMDB's writer never answers once it has failed to
 *   write a meta page; whether the failed one is on disk shows at the next start. Reads go on.
 */
export async function lmdbHome(folder: string, options: LmdbHomeOptions = {}): Promise<Home> {
  const isThere = await exists(folder)
  if (!isThere && options.mayCreate === false) throw lost(folder)
  if (!isThere) await createHome(folder)
  const dataFile = join(folder, DATA_FILE)
  if (!(await exists(dataFile))) throw lost(dataFile)
  await assertDatabase(dataFile)
  await assertWritable(join(folder, LOCK_FILE))
  await syncFolder(dirname(folder))
  const lock = await lockFile(dataFile)
  try {
    return new LmdbHome(folder, lock, options.freeBytes ?? systemFreeBytes)
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Opens a copy of a home's file to be read; LMDB makes a lock file beside it. */
export function readHomeFile(file: string): Pick<Home, 'range' | 'close'> {
  const db = openDatabase(file, { readOnly: true, noSubdir: true })
  return { range: (from, to, limit) => readRange(db, from, to, limit), close: () => db.close() }
}

/**
 * Opens a home to look at it: nothing of it is changed, but for LMDB's own `lock.mdb`. Damaged pages may end the
 * process: only for a process that may end. Throws `HomeLost`.
 */
export async function readLmdbHome(folder: string): Promise<ReadableHome & Pick<Home, 'close'>> {
  if (!(await exists(join(folder, DATA_FILE)))) throw new HomeLost(`${folder} has no ${DATA_FILE}.`)
  const db = openDatabase(folder, { readOnly: true })
  const { entryCount }: { readonly entryCount?: number } = db.getStats()
  return {
    entryCount,
    get: (key) => readValue(db, key),
    range: (from, to, limit) => readRange(db, from, to, limit),
    close: () => db.close(),
  }
}

/** LMDB ends the process when it cannot use its files, so that is found out before: rejects with the system's error. */
async function assertWritable(path: string): Promise<void> {
  if (!(await exists(path))) return
  const file = await openFile(path, 'r+')
  await file.close()
}

/** LMDB ends the process when it opens a file that is none of its own, so that is found out before. */
async function assertDatabase(path: string): Promise<void> {
  const file = await openFile(path, 'r+')
  try {
    const { size } = await file.stat()
    const { buffer } = await file.read(Buffer.alloc(MAGIC_AT + 4), 0, MAGIC_AT + 4, 0)
    if (size >= SMALLEST_BYTES && buffer.readUInt32LE(MAGIC_AT) === MAGIC) return
  } finally {
    await file.close()
  }
  throw new HomeUnreadable(`${path} is damaged: put the data directory back from a backup.`)
}

function lost(path: string): HomeLost {
  return new HomeLost(
    `The data directory has lost ${path}: put it back from a backup, or start with an empty directory.`,
  )
}

/** Creates an empty home beside its place, and puts it there when all of it is on disk. */
async function createHome(folder: string): Promise<void> {
  const made = `${folder}.new`
  await rm(made, { recursive: true, force: true })
  await mkdir(made, { mode: 0o700 })
  await openDatabase(made).close()
  const data = await openFile(join(made, DATA_FILE), 'r+')
  await data.sync().finally(() => data.close())
  await syncFolder(made)
  await rename(made, folder)
}

type Database = RootDatabase<Buffer, Buffer>

function openDatabase(
  path: string,
  more: { readonly readOnly?: boolean; readonly noSubdir?: boolean } = {},
): Database {
  return open<Buffer, Buffer>({
    path,
    // Unless told, the package takes a name with a dot for that of a file.
    noSubdir: false,
    ...more,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
    // Commits come one at a time; without this each would wait for the end of the turn once more.
    eventTurnBatching: false,
    // Known to the package, not to its types.
    ...{ permissionsMode: 0o600 },
  })
}

class LmdbHome implements Home, HomeCopying {
  readonly #folder: string
  readonly #lock: DiskLock
  readonly #freeBytes: (folder: string) => Promise<number>
  #db: Database
  #last: Promise<void> = Promise.resolve()
  #failure: Error | undefined
  #isClosed = false

  constructor(folder: string, lock: DiskLock, freeBytes: (folder: string) => Promise<number>) {
    this.#folder = folder
    this.#lock = lock
    this.#freeBytes = freeBytes
    this.#db = openDatabase(folder)
  }

  get(key: string): Uint8Array | undefined {
    this.#refuseIfClosed()
    return readValue(this.#db, key)
  }

  range(from: string, to: string, limit: number): readonly (readonly [key: string, value: Uint8Array])[] {
    this.#refuseIfClosed()
    return readRange(this.#db, from, to, limit)
  }

  /** Values are copied: they may be changed once this has returned. */
  async commit(changes: readonly HomeChange[]): Promise<void> {
    this.#refuseIfClosed()
    const stored = encodeChanges(changes)
    const turn = this.#last.then(() => this.#commitInTurn(stored))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /**
   * LMDB copies page by page in a transaction of its own, on another thread. Not compacting: that refuses a file that
   * has ever leaked a page, and a backup must not depend on it.
   */
  async copyBeside(folder: string): Promise<void> {
    this.#refuseIfClosed()
    const turn = this.#last.then(() => this.#copyInTurn(folder))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Waits for the commits under way. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#last
    await this.#db.close().finally(() => this.#lock.release())
  }

  async #copyInTurn(folder: string): Promise<void> {
    const copy = join(dirname(this.#folder), folder)
    await mkdir(copy, { recursive: true, mode: 0o700 })
    try {
      await this.#db.backup(copy, false)
      await chmod(join(copy, DATA_FILE), 0o600)
    } catch (error) {
      if ((await this.#freeBytes(copy)) >= FULL_BELOW_BYTES) throw error
      throw new DiskFull('no room for a copy of the home', { cause: error })
    }
  }

  async #commitInTurn(changes: readonly StoredChange[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (changes.length === 0) return
    try {
      await this.#write(changes)
    } catch (error) {
      const cause = await causeOf(error)
      const isSound = this.#canStillRead()
      if (isSound && (await this.#isFull(cause))) {
        throw new DiskFull('no room for a change of the home', { cause })
      }
      this.#failure = new Error('the home failed to write', { cause })
      if (!isSound) await this.#reopenForReads()
      throw this.#failure
    }
  }

  /** `batch` makes one transaction of what its callback does; it would also commit half of it if that threw. */
  async #write(changes: readonly StoredChange[]): Promise<void> {
    await this.#db.batch(() => {
      for (const { keyBytes, stored } of changes) {
        if (stored === undefined) void this.#db.remove(keyBytes)
        else void this.#db.put(keyBytes, stored)
      }
    })
  }

  /** False after a failed meta page: LMDB then refuses every transaction, and the writer of lmdb hangs on one. */
  #canStillRead(): boolean {
    try {
      this.#db.resetReadTxn()
      this.#db.getBinary(bytesOf('-'))
      return true
    } catch {
      // Whatever the reason: the answer is no.
      return false
    }
  }

  async #isFull(cause: unknown): Promise<boolean> {
    const code = codeOf(cause)
    if (code === ENOSPC || code === EDQUOT || code === EFBIG) return true
    return code === EIO && (await this.#freeBytes(this.#folder)) < FULL_BELOW_BYTES
  }

  /** What was committed before is still on the disk, and LMDB starts over when it is opened again. */
  async #reopenForReads(): Promise<void> {
    await this.#db.close()
    this.#db = openDatabase(this.#folder)
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new Error('the home is closed')
  }
}

function readValue(db: Database, key: string): Uint8Array | undefined {
  assertHomeKey(key)
  const stored = orCorrupt(key, () => db.getBinary(bytesOf(key)))
  return stored && decodeStored(key, stored)
}

function readRange(
  db: Database,
  from: string,
  to: string,
  limit: number,
): readonly (readonly [key: string, value: Uint8Array])[] {
  assertHomeKey(from)
  assertHomeKey(to)
  if (from >= to || limit <= 0) return []
  // Read to its end at once: a range that is left half read keeps a snapshot, and with it every freed page.
  const found = orCorrupt(from, () => [...db.getRange({ start: bytesOf(from), end: bytesOf(to), limit })])
  return found.map(({ key, value }) => {
    const name = key.toString('latin1')
    return [name, decodeStored(name, value)]
  })
}

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1')
}

function orCorrupt<T>(key: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!DAMAGE_CODES.has(codeOf(error))) throw error
    const corrupt = new HomeCorrupt(key)
    corrupt.cause = error
    throw corrupt
  }
}

/** A failed commit rejects with a general error; the reason is the rejection of a promise that the error carries. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    // It has happened by the end of the turn; a reason that lmdb takes for news never comes.
    await Promise.race([error.commitError, new Promise((resolve) => setImmediate(resolve))])
    return error
  } catch (reason) {
    return reason
  }
}

async function systemFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
