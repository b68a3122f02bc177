/** The file store for servers: a directory, a promise of durability, and nothing else to know. */
import type { Clock } from '@millrace/engine'
import type { Durability, FileStore } from './file-store.ts'
import type { StoreLimits } from './limits.ts'
import { lmdbHome } from './lmdb-home.ts'
import { nodeDisk } from './node-disk.ts'
import { openFileStore, type RecoveryReport } from './recovery.ts'

/** Options of `fileStorage`. */
export interface FileStorageOptions {
  /** Created if it does not exist. One process at a time owns it. */
  readonly dataDir: string
  /** `file-durable` (unless given): answers follow the sync. `file-fast`: the sync follows within a second. */
  readonly durability?: Durability
  /** Sizes, for those who measure. */
  readonly limits?: Partial<StoreLimits>
  /** Told once, when a write has failed and no more are taken. */
  readonly onPoisoned?: (error: unknown) => void
  /** Told what the last stop had left, before the store is served. */
  readonly onRecovered?: (report: RecoveryReport) => void
}

/** Time for checkpoints and delayed syncs; its timers do not keep the process alive. */
const clock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref()
    return { cancel: () => clearTimeout(timer) }
  },
  defer: (callback) => {
    setImmediate(callback)
  },
}

/**
 * Opens a data directory as storage, recovering whatever the last stop left. Rejects with `DiskLocked` if another
 * process owns it, `ForeignDirectory` if it is not Millrace's, `HomeLost` or `HomeUnreadable` if its index is missing or
 * is none, `JournalDamaged` if acknowledged bytes are damaged, `DiskFull` if there is no room to write on.
 */
export async function fileStorage(options: FileStorageOptions): Promise<FileStore> {
  const { dataDir, durability = 'file-durable', ...rest } = options
  return openFileStore({
    disk: nodeDisk(dataDir),
    openHome: (mayBeNew) => lmdbHome(`${dataDir}/home`, { mayCreate: mayBeNew }),
    durability,
    clock,
    ...rest,
  })
}
