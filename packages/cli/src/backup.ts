/** `millrace backup`: a complete, checked copy of a running server's streams. */

import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeDisk } from '@millrace/storage-file'
import { beginSnapshot, ConnectionLost, Refused, type RemoteSnapshot, Unreachable } from './admin-client.ts'
import { checksumOf, copyFile } from './backup-copy.ts'
import {
  assertBackupFolder,
  type BackupFolder,
  completeBackup,
  NotABackup,
  openBackupFolder,
  readManifest,
  writeStreams,
} from './backup-folder.ts'
import { BACKUP_FORMAT, type BackupFile, type Manifest, STREAMS_FILE } from './backup-manifest.ts'

/** What to back up, and where to. */
export interface BackupSettings {
  readonly target: string
  readonly dataDir: string
  /** How long a server that has gone away in the middle is waited for. */
  readonly retryForMs: number
  readonly millraceVersion: string
}

/** Told how it goes. */
export interface BackupListener {
  /** A snapshot is held; this is its size. */
  started(totalBytes: number): void
  /** More of it is in the backup. */
  copied(bytes: number): void
  /** Something that a person wants to know, as a sentence. */
  note(sentence: string): void
}

/** What was saved. */
export interface BackupSummary {
  readonly manifest: Manifest
  readonly totalBytes: number
  readonly fetchedBytes: number
  readonly reusedBytes: number
}

/** The server went away in the middle and did not come back. */
export class ServerGone extends Error {
  override readonly name = 'ServerGone'
}

/** How often a server is asked again that is busy with another backup, or gone. */
const ASK_AGAIN_MS = 250
/** How long the snapshot of a backup that has just ended may take to be given up. */
const BUSY_PATIENCE_MS = 5000

/**
 * Copies one snapshot of the server that owns `dataDir` into `target`. When it resolves the copy is complete, checked
 * and survives a power cut; when it rejects an earlier backup in the folder is as it was, and what has been copied is
 * used by the next run. A server that goes away in the middle is waited for, and a new snapshot copied.
 */
export async function runBackup(settings: BackupSettings, listener: BackupListener): Promise<BackupSummary> {
  const { target } = settings
  await assertBackupFolder(nodeDisk(resolve(target)), target)
  await readManifest(target)
  let snapshot = await begin(settings, BUSY_PATIENCE_MS, false)
  try {
    const folder = await openBackupFolder(target)
    try {
      for (;;) {
        try {
          return await save(snapshot, folder, settings, listener)
        } catch (error) {
          if (!isLost(error)) throw error
          await snapshot.end()
          listener.note('The connection to the server was lost: waiting for it.')
          snapshot = await begin(settings, settings.retryForMs, true)
        }
      }
    } finally {
      await folder.release()
    }
  } finally {
    await snapshot.end()
  }
}

function isLost(error: unknown): boolean {
  return error instanceof ConnectionLost || error instanceof Unreachable
}

async function begin(
  { dataDir }: BackupSettings,
  patienceMs: number,
  waitsForServer: boolean,
): Promise<RemoteSnapshot> {
  const untilMs = performance.now() + patienceMs
  for (;;) {
    try {
      return await beginSnapshot(dataDir)
    } catch (error) {
      const isBusy = error instanceof Refused && error.code === 'BUSY'
      const mayPass = isBusy || error instanceof ConnectionLost || (waitsForServer && isLost(error))
      if (!mayPass) throw error
      if (performance.now() > untilMs) {
        throw isBusy ? error : new ServerGone('the server has gone away', { cause: error })
      }
      await sleep(ASK_AGAIN_MS)
    }
  }
}

async function save(
  snapshot: RemoteSnapshot,
  folder: BackupFolder,
  { target, millraceVersion }: BackupSettings,
  listener: BackupListener,
): Promise<BackupSummary> {
  assertSameStore(snapshot, folder, target)
  const totalBytes = snapshot.files.reduce((sum, { bytes }) => sum + bytes, 0)
  let fetchedBytes = 0
  listener.started(totalBytes)
  const counts = {
    reused: (bytes: number) => listener.copied(bytes),
    fetched(bytes: number) {
      fetchedBytes += bytes
      listener.copied(bytes)
    },
  }
  const files: BackupFile[] = []
  for (const entry of snapshot.files) files.push(await copyFile(snapshot, folder, entry, counts))
  // Nothing more is asked of the server: it may go on reclaiming while the rest is written.
  await snapshot.end()
  const home = files.at(-1)
  if (home === undefined) throw new Error('the snapshot has no files')
  const streams = await writeStreams(folder, target, home)
  const { bytes, sha256 } = await checksumOf(streams.file).finally(() => streams.file.close())
  files.push({ name: STREAMS_FILE, stored: streams.stored, bytes, sha256 })
  const manifest: Manifest = {
    kind: 'millrace backup',
    format: BACKUP_FORMAT,
    createdAt: new Date(snapshot.atMs).toISOString(),
    millraceVersion,
    storeId: snapshot.storeId,
    journalSequence: snapshot.sequence,
    streams: streams.totals,
    files,
  }
  await completeBackup(folder, manifest)
  return { manifest, totalBytes, fetchedBytes, reusedBytes: totalBytes - fetchedBytes }
}

function assertSameStore(snapshot: RemoteSnapshot, { manifest }: BackupFolder, target: string): void {
  if (manifest === undefined || manifest.storeId === snapshot.storeId) return
  throw new NotABackup(
    `${target} holds the backup of another store, or of this one before it was restored: choose another folder.`,
  )
}
