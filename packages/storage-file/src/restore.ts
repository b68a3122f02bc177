/**
 * A data directory made of a snapshot's files. It becomes one at the very end, when its FORMAT file is written: until
 * then no server starts on it, and a restore that was broken off is recognised by its mark and done again.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BLOCK_FOLDER } from './block-files.ts'
import type { Disk, DiskFile, DiskLock } from './disk.ts'
import { ForeignDirectory, isDataDirectory, RESTORE_MARK, strangersIn, writeFormat } from './format.ts'
import { GENERATION_KEY, JOURNAL_KEY, RUN_KEY, STORE_KEY } from './home-keys.ts'
import { JOURNAL_FOLDER, prepareSegment, SEGMENT_HEADER_BYTES } from './journal-segment.ts'
import { lmdbHome } from './lmdb-home.ts'
import { nodeDisk } from './node-disk.ts'
import { textOf } from './state-codec.ts'

const HOME_FOLDER = 'home'
const FOLDERS = [BLOCK_FOLDER, HOME_FOLDER, JOURNAL_FOLDER]

/** A data directory in the making; end it with `finish` or `abandon`. */
export interface RestoreTarget {
  /** Creates a file by its name in the snapshot. The caller writes, syncs and closes it. */
  create(name: string): Promise<DiskFile>
  /** Every file is there and synced: makes a data directory of them, which survives a power cut from then on. */
  finish(): Promise<void>
  /** Removes what was written, and leaves the directory empty but for its LOCK file. */
  abandon(): Promise<void>
}

/**
 * Takes an empty or absent directory to restore into. Rejects, changing nothing, with `ForeignDirectory` if there is
 * anything in it but a restore that was broken off, and with `DiskLocked` if another process owns it.
 */
export async function openRestoreTarget(dataDir: string): Promise<RestoreTarget> {
  const disk = nodeDisk(dataDir)
  await assertRestorable(disk, dataDir)
  const lock = await disk.lock()
  try {
    // Somebody may have been faster between the look and the lock.
    await assertRestorable(disk, dataDir)
    await removeParts(disk, dataDir)
    await (await disk.create(RESTORE_MARK)).close()
    for (const folder of FOLDERS) await disk.makeFolder(folder)
    await disk.syncFolder('')
  } catch (error) {
    await lock.release()
    throw error
  }
  return {
    create: (name) => disk.create(name),
    finish: () => finish(disk, dataDir, lock),
    async abandon() {
      await removeParts(disk, dataDir).finally(() => lock.release())
    },
  }
}

async function assertRestorable(disk: Disk, dataDir: string): Promise<void> {
  if (await isDataDirectory(disk)) {
    throw new ForeignDirectory(`${dataDir} is a data directory already: choose an empty or new one.`)
  }
  if (await disk.exists(RESTORE_MARK)) return
  const strangers = await strangersIn(disk)
  if (strangers.length === 0) return
  const some = strangers.slice(0, 3).join(', ')
  throw new ForeignDirectory(`${dataDir} is not empty (it has ${some}): choose an empty or new directory.`)
}

async function removeParts(disk: Disk, dataDir: string): Promise<void> {
  for (const folder of FOLDERS) await rm(join(dataDir, folder), { recursive: true, force: true })
  // The mark goes last: without it what is left would look like somebody else's.
  await disk.syncFolder('')
  await disk.remove(RESTORE_MARK)
  await disk.syncFolder('')
}

async function finish(disk: Disk, dataDir: string, lock: DiskLock): Promise<void> {
  try {
    await becomeNewStore(join(dataDir, HOME_FOLDER))
    // Empty: a directory that has lost its journal looks different.
    await (await prepareSegment(disk, 1, SEGMENT_HEADER_BYTES)).file.close()
    for (const folder of FOLDERS) await disk.syncFolder(folder)
    await writeFormat(disk)
    await disk.remove(RESTORE_MARK)
    await disk.syncFolder('')
  } finally {
    await lock.release()
  }
}

/**
 * A restored store is another store: it gets an identity of its own at its first snapshot, so that its backups and
 * those of the original are never mixed. And it lost what the original acknowledged after the backup: it goes on in
 * a later generation, so that the offsets of those bytes are never given out again. Counting on by one would not do:
 * the original may have done so since. No generation that counts power cuts reaches the seconds since 1970.
 */
async function becomeNewStore(homeFolder: string): Promise<void> {
  const home = await lmdbHome(homeFolder)
  try {
    const stored = home.get(GENERATION_KEY)
    const before = stored === undefined ? 0 : Number(textOf(stored))
    const generation = Math.max(before + 1, Math.floor(Date.now() / 1000))
    await home.commit([
      [STORE_KEY, undefined],
      [RUN_KEY, undefined],
      [JOURNAL_KEY, undefined],
      [GENERATION_KEY, Buffer.from(String(generation))],
    ])
  } finally {
    await home.close()
  }
}
