/**
 * The folder of a backup. It holds one complete backup at most, the one its manifest names; beside it may lie what a
 * backup that was broken off has copied so far. Bytes that the manifest names are never changed, so that the complete
 * backup stays one until the next manifest takes its place.
 */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Disk, type DiskFile, nodeDisk, savedStreams } from '@millrace/storage-file'
import {
  type BackupFile,
  formatManifest,
  isStoredName,
  MANIFEST,
  type Manifest,
  parseManifest,
  STREAMS_FILE,
} from './backup-manifest.ts'

const BLOCKS = 'blocks'
const NEW_MANIFEST = `${MANIFEST}.new`
const LMDB_LOCK = '-lock'

/** The folder is not a backup's: nothing in it was changed. */
export class NotABackup extends Error {
  override readonly name = 'NotABackup'
}

/** A backup's folder, owned by this process. */
export interface BackupFolder {
  readonly disk: Disk
  /** The complete backup in it. */
  readonly manifest: Manifest | undefined
  release(): Promise<void>
}

/** Takes a folder for a backup, and makes it if it is missing. Throws `NotABackup`, `ManifestUnusable`, `DiskLocked`. */
export async function openBackupFolder(target: string): Promise<BackupFolder> {
  const disk = nodeDisk(resolve(target))
  await assertBackupFolder(disk, target)
  const lock = await disk.lock()
  try {
    const manifest = await readManifest(target)
    await disk.makeFolder(BLOCKS)
    await disk.syncFolder('')
    return { disk, manifest, release: () => lock.release() }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Looks before anything is touched: is the folder absent, empty, or a backup's? */
export async function assertBackupFolder(disk: Disk, target: string): Promise<void> {
  const strangers = (await disk.list('')).filter((name) => !isOurs(name))
  if (strangers.length > 0) {
    const some = strangers.slice(0, 3).join(', ')
    throw new NotABackup(`${target} is not empty and no backup (it has ${some}): choose another folder.`)
  }
}

/** The manifest of a folder; `undefined` if it has none. Throws `ManifestUnusable`. */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, MANIFEST)
  try {
    return parseManifest(await readFile(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Where a file of a data directory may lie in a backup: the first choice, and others if that is taken. */
export function storedName(name: string, choice: number): string {
  const plain = name.startsWith('home/') ? 'home.mdb' : name
  return choice === 1 ? plain : plain.replace(/(\.[a-z]+)$/, `.${choice}$1`)
}

/** How many bytes of a stored file the complete backup needs as they are. */
export function neededBytes({ manifest }: BackupFolder, stored: string): number {
  return manifest?.files.find((file) => file.stored === stored)?.bytes ?? 0
}

/** Opens a file of the folder, new or old, to be read and written. */
export async function openStored({ disk }: BackupFolder, stored: string): Promise<DiskFile> {
  return (await disk.exists(stored)) ? disk.open(stored) : disk.create(stored)
}

/** What the list of streams says in all. */
export interface StreamTotals {
  readonly count: number
  readonly bytes: number
}

/** Writes the list of streams that the copied home knows; the file is handed on to be hashed and closed. */
export async function writeStreams(
  folder: BackupFolder,
  target: string,
  home: BackupFile,
): Promise<{ readonly file: DiskFile; readonly stored: string; readonly totals: StreamTotals }> {
  const { disk } = folder
  let choice = 1
  while (neededBytes(folder, storedName(STREAMS_FILE, choice)) > 0) choice++
  const stored = storedName(STREAMS_FILE, choice)
  await disk.remove(stored)
  const file = await disk.create(stored)
  let at = 0
  let count = 0
  let bytes = 0
  try {
    for await (const page of savedStreams(join(resolve(target), home.stored))) {
      const lines = Buffer.from(page.map((stream) => `${JSON.stringify(stream)}\n`).join(''))
      await file.write(at, [lines])
      at += lines.length
      count += page.length
      for (const { ownBytes } of page) bytes += ownBytes
    }
    await file.sync()
  } catch (error) {
    await file.close()
    throw error
  }
  await disk.remove(`${home.stored}${LMDB_LOCK}`)
  return { file, stored, totals: { count, bytes } }
}

/** Everything is copied and synced: makes it the folder's backup, then removes what only an earlier one needed. */
export async function completeBackup({ disk }: BackupFolder, manifest: Manifest): Promise<void> {
  await disk.syncFolder(BLOCKS)
  await disk.syncFolder('')
  await disk.remove(NEW_MANIFEST)
  const file = await disk.create(NEW_MANIFEST)
  try {
    await file.write(0, [Buffer.from(formatManifest(manifest))])
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(NEW_MANIFEST, MANIFEST)
  await disk.syncFolder('')
  const named = new Set(manifest.files.map(({ stored }) => stored))
  for (const stored of await storedFiles(disk)) if (!named.has(stored)) await disk.remove(stored)
}

async function storedFiles(disk: Disk): Promise<readonly string[]> {
  const blocks = await disk.list(BLOCKS)
  const top = await disk.list('')
  return [...blocks.map((name) => `${BLOCKS}/${name}`), ...top].filter(
    (name) => isStoredName(name) || isLmdbLock(name),
  )
}

function isLmdbLock(name: string): boolean {
  return name.endsWith(LMDB_LOCK) && isStoredName(name.slice(0, -LMDB_LOCK.length))
}

function isOurs(name: string): boolean {
  return ['LOCK', BLOCKS, MANIFEST, NEW_MANIFEST].includes(name) || isStoredName(name) || isLmdbLock(name)
}
