/**
 * Copies one file of a snapshot into a backup, going on where an earlier copy ended. What is there already is not
 * trusted: it is compared with the server's, by checksums, and kept as far as they agree.
 */
import { createHash, type Hash } from 'node:crypto'
import { MOST_HASHED_BYTES, type SnapshotEntry } from '@millrace/server'
import type { DiskFile } from '@millrace/storage-file'
import type { RemoteSnapshot } from './admin-client.ts'
import { type BackupFolder, neededBytes, openStored, storedName } from './backup-folder.ts'
import type { BackupFile } from './backup-manifest.ts'

/** Told what has been dealt with. */
export interface CopyCounts {
  reused(bytes: number): void
  fetched(bytes: number): void
}

/** Copies a file and syncs it. Bytes that a complete backup in the folder needs stay as they are. */
export async function copyFile(
  snapshot: RemoteSnapshot,
  folder: BackupFolder,
  entry: SnapshotEntry,
  counts: CopyCounts,
): Promise<BackupFile> {
  for (let choice = 1; ; choice++) {
    const stored = storedName(entry.name, choice)
    const needed = neededBytes(folder, stored)
    const file = await openStored(folder, stored)
    try {
      const start = await agreement(snapshot, entry, file, needed)
      if (start.bytes < needed) continue
      counts.reused(start.bytes)
      const sha256 = await fetchRest(snapshot, entry, file, start, counts)
      return { name: entry.name, stored, bytes: entry.bytes, sha256 }
    } finally {
      await file.close()
    }
  }
}

/** SHA-256 of the whole of a file that has just been written, in hex. */
export async function checksumOf(
  file: DiskFile,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256')
  const bytes = await file.size()
  for (let at = 0; at < bytes; at += MOST_HASHED_BYTES) hash.update(await file.read(at, MOST_HASHED_BYTES))
  return { bytes, sha256: hash.digest('hex') }
}

/** The first bytes of a file, as many as agree, and their checksum in the making. */
interface Agreement {
  readonly bytes: number
  readonly hash: Hash
}

/** Compares piece by piece. The end of what a complete backup needs is the end of a piece, so that it may grow. */
async function agreement(
  snapshot: RemoteSnapshot,
  { name, bytes }: SnapshotEntry,
  file: DiskFile,
  needed: number,
): Promise<Agreement> {
  const hash = createHash('sha256')
  const end = Math.min(bytes, await file.size())
  let at = 0
  while (at < end) {
    const to = Math.min(at + MOST_HASHED_BYTES, at < needed ? Math.min(needed, end) : end)
    const piece = await file.read(at, to - at)
    const sha256 = createHash('sha256').update(piece).digest('hex')
    if (sha256 !== (await snapshot.sha256(name, at, to))) break
    hash.update(piece)
    at = to
  }
  return { bytes: at, hash }
}

async function fetchRest(
  snapshot: RemoteSnapshot,
  { name, bytes }: SnapshotEntry,
  file: DiskFile,
  { bytes: from, hash }: Agreement,
  counts: CopyCounts,
): Promise<string> {
  if ((await file.size()) > from) await file.truncate(from)
  let at = from
  if (at < bytes) {
    for await (const piece of snapshot.bytes(name, from, bytes)) {
      await file.write(at, [piece])
      hash.update(piece)
      at += piece.length
      counts.fetched(piece.length)
    }
  }
  await file.sync()
  return hash.digest('hex')
}
