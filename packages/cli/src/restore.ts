/** `millrace restore`: a data directory made of a backup, every byte of it checked on the way. */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type DiskFile, openRestoreTarget, type RestoreTarget } from '@millrace/storage-file'
import { readManifest } from './backup-folder.ts'
import { type BackupFile, MANIFEST, type Manifest, STREAMS_FILE } from './backup-manifest.ts'

/** What to restore, and where to. */
export interface RestoreSettings {
  readonly backup: string
  readonly dataDir: string
}

/** Told how it goes. */
export interface RestoreListener {
  started(totalBytes: number): void
  copied(bytes: number): void
}

/** Files of the backup are missing or not what was saved. */
export class BackupDamaged extends Error {
  override readonly name = 'BackupDamaged'
}

const PIECE_BYTES = 1024 * 1024

/**
 * Makes a data directory of a backup. When it resolves a server may be started on it; when it rejects the directory
 * is empty again, or no server starts on it and the same call does it again. Rejects with `BackupDamaged`, naming
 * every bad file, `ManifestUnusable`, `ForeignDirectory`, `DiskLocked` or `DiskFull`.
 */
export async function runRestore(
  { backup, dataDir }: RestoreSettings,
  listener: RestoreListener,
): Promise<Manifest> {
  const manifest = await readManifest(backup)
  if (manifest === undefined) {
    throw new BackupDamaged(
      `${backup} has no ${MANIFEST}: it is not a backup, or one that was broken off. Run millrace backup again.`,
    )
  }
  await assertComplete(manifest, backup)
  const target = await openRestoreTarget(resolve(dataDir))
  try {
    listener.started(manifest.files.reduce((sum, { bytes }) => sum + bytes, 0))
    const altered: string[] = []
    for (const file of manifest.files) {
      if (!(await restoreFile(file, backup, target, listener))) altered.push(file.stored)
    }
    if (altered.length > 0) {
      throw new BackupDamaged(
        `${backup} is damaged: ${altered.join(', ')} ${altered.length === 1 ? 'is' : 'are'} not what was saved. Nothing was restored.`,
      )
    }
  } catch (error) {
    await target.abandon()
    throw error
  }
  await target.finish()
  return manifest
}

/** What can be seen without reading everything is said before anything is written. */
async function assertComplete({ files }: Manifest, backup: string): Promise<void> {
  const missing: string[] = []
  for (const { stored, bytes } of files) {
    const size = await sizeOf(join(backup, stored))
    if (size === undefined) missing.push(stored)
    else if (size < bytes) missing.push(`${stored} from byte ${size} on`)
  }
  if (missing.length === 0) return
  throw new BackupDamaged(`${backup} is not complete: it lacks ${missing.join(', ')}. Nothing was restored.`)
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      return (await file.stat()).size
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Copies a file to its place and syncs it; false if it is not what was saved. The list of streams is only checked. */
async function restoreFile(
  { name, stored, bytes, sha256 }: BackupFile,
  backup: string,
  target: RestoreTarget,
  listener: RestoreListener,
): Promise<boolean> {
  const source = await open(join(backup, stored), 'r')
  try {
    const copy = name === STREAMS_FILE ? undefined : await target.create(name)
    const hash = createHash('sha256')
    try {
      await copyBytes(source, copy, bytes, hash, listener)
      await copy?.sync()
    } finally {
      await copy?.close()
    }
    return hash.digest('hex') === sha256
  } finally {
    await source.close()
  }
}

async function copyBytes(
  source: FileHandle,
  copy: DiskFile | undefined,
  bytes: number,
  hash: Hash,
  listener: RestoreListener,
): Promise<void> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await source.read(piece, 0, Math.min(PIECE_BYTES, bytes - at), at)
    // It was longer a moment ago; the checksum says the rest.
    if (bytesRead === 0) return
    const read = piece.subarray(0, bytesRead)
    await copy?.write(at, [read])
    hash.update(read)
    at += bytesRead
    listener.copied(bytesRead)
  }
}
