/** A data directory that is looked at while no server runs on it: owned for as long as that takes, never made. */
import { type Disk, DiskLocked } from './disk.ts'
import { assertOurs } from './format.ts'
import { nodeDisk } from './node-disk.ts'

/** There is no data directory at this place. */
export class StoreMissing extends Error {
  override readonly name = 'StoreMissing'
}

/**
 * Runs an operation on a directory that this process owns meanwhile. Throws `StoreMissing`, `ForeignDirectory` or
 * `DiskLocked` before anything is touched.
 */
export async function withOwnedStore<T>(dataDir: string, operation: (disk: Disk) => Promise<T>): Promise<T> {
  const disk = nodeDisk(dataDir)
  await assertOurs(disk).catch((error: unknown) => {
    throw isNoFolder(error) ? missingAt(dataDir) : error
  })
  // Looked for first: taking the lock would make the directory.
  if (!(await disk.exists('FORMAT'))) {
    throw missingAt(dataDir)
  }
  const lock = await disk.lock().catch((error) => {
    if (!(error instanceof DiskLocked)) throw error
    throw new DiskLocked(`${error.message} Stop the server first, or look at a copy of the directory.`)
  })
  try {
    return await operation(disk)
  } finally {
    await lock.release()
  }
}

function missingAt(dataDir: string): StoreMissing {
  return new StoreMissing(
    `There is no data directory of Millrace at ${dataDir}: name the one of your server with --data-dir.`,
  )
}

/** A file where a folder should be, at the path or above it. */
function isNoFolder(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOTDIR'
}
