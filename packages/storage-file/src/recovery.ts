/**
 * Opening a data directory: who owns it, what format it has, what the journal holds that blocks and home do not, and
 * where writing goes on. Nothing is served before all of it is known.
 */
import { type Clock, NO_USAGE } from '@millrace/engine'
import { BLOCK_FOLDER, BlockFiles } from './block-files.ts'
import { closeAll } from './close-all.ts'
import type { Disk, DiskLock } from './disk.ts'
import { DiskReserve } from './disk-reserve.ts'
import { createFileStore, type Durability, type FileStore } from './file-store.ts'
import { assertOurs, hasData, openFormat } from './format.ts'
import { startOfRun } from './generation-mark.ts'
import { type Home, HomeLost } from './home.ts'
import { APPLIED_KEY, streamKey, USAGE_KEY } from './home-keys.ts'
import { Journal, type RetiredSegment } from './journal.ts'
import { readJournal } from './journal-reader.ts'
import { JOURNAL_FOLDER, retireSegment } from './journal-segment.ts'
import { Layer, type LayerEntry } from './layer.ts'
import { DEFAULT_STORE_LIMITS, type StoreLimits } from './limits.ts'
import { removeOrphans } from './reclaim.ts'
import type { RecordBody } from './record-codec.ts'
import { removeSnapshotCopy } from './snapshot.ts'
import { decodeStream, encodeUsage, textOf } from './state-codec.ts'

/** How to open a store. */
export interface OpenOptions {
  readonly disk: Disk
  /** Opens the home below the data directory; called once the directory is owned. One without data may be new. */
  openHome(mayBeNew: boolean): Promise<Home>
  readonly durability: Durability
  readonly clock: Clock
  readonly limits?: Partial<StoreLimits>
  readonly onPoisoned?: (error: unknown) => void
  readonly onRecovered?: (report: RecoveryReport) => void
}

/** What opening a data directory found. */
export interface RecoveryReport {
  /** The last stop wrote everything down. */
  readonly isClean: boolean
  /** Journal records applied again. */
  readonly replayedRecords: number
  /** Bytes of writes that were begun but never acknowledged, cut off the end of the journal. */
  readonly cutBytes: number
}

/** Opens a store, new or old. Rejects, changing nothing, when it is owned, foreign, or damaged. */
export async function openFileStore(options: OpenOptions): Promise<FileStore> {
  await assertOurs(options.disk)
  const lock = await options.disk.lock()
  const opened: { close(): Promise<void> }[] = [{ close: () => lock.release() }]
  try {
    return await openOwned(options, lock, opened)
  } catch (error) {
    await closeAll(opened.reverse()).catch(() => undefined)
    throw error
  }
}

/** `opened` collects what has to be closed again if a later step fails. */
async function openOwned(
  options: OpenOptions,
  lock: DiskLock,
  opened: { close(): Promise<void> }[],
): Promise<FileStore> {
  const { disk, durability, clock } = options
  const limits = { ...DEFAULT_STORE_LIMITS, ...options.limits }
  await prepareFolders(disk)
  const isUsed = await hasData(disk)
  const home = await options.openHome(!isUsed)
  opened.push(home)
  const applied = await appliedSequence(home, isUsed)
  const replayed = new Layer()
  const end = await readJournal(disk, applied, ({ sequence, body }) => {
    replay(home, replayed, body)
    replayed.sequence = sequence
    replayed.records++
  })
  replayed.sequence = end.lastSequence
  const nextFile = await removeOrphans(disk, home)
  const needed = await keepNeeded(disk, end.segments, applied)
  opened.push(...needed.map(({ segment }) => segment.file))
  const { nextSegment, lastSequence } = end
  const journal = await Journal.start(disk, limits, { old: needed, nextSegment, lastSequence })
  options.onRecovered?.({
    isClean: replayed.records === 0 && end.cutBytes === 0,
    replayedRecords: replayed.records,
    cutBytes: end.cutBytes,
  })
  const blocks = new BlockFiles(disk, limits, nextFile)
  const onPoisoned = options.onPoisoned ?? (() => undefined)
  const run = await startOfRun(disk, home, durability)
  const { generation } = run
  const store = createFileStore({
    disk,
    lock,
    home,
    blocks,
    journal,
    limits,
    reserve: new DiskReserve(disk, limits.checkpointReserveBytes),
    durability,
    generation,
    clock,
    replayed,
    onPoisoned,
  })
  // Where the journal could not be written again, a checkpoint makes what was replayed safe before anything rests on it.
  if (!end.isAnew) await store.checkpoint()
  if (run.changes.length > 0) await home.commit(run.changes)
  return store
}

async function prepareFolders(disk: Disk): Promise<void> {
  await openFormat(disk)
  await disk.makeFolder(JOURNAL_FOLDER)
  await disk.makeFolder(BLOCK_FOLDER)
  await disk.syncFolder('')
  // Of a snapshot that was open when the last run ended; its room may be needed.
  await removeSnapshotCopy(disk)
}

/** Segments with something to replay, synced; the others are retired. */
async function keepNeeded(
  disk: Disk,
  segments: readonly RetiredSegment[],
  applied: number,
): Promise<readonly RetiredSegment[]> {
  // Those that are applied go first: one of them is the room for the new one when the disk is full.
  for (const { segment, lastSequence } of segments) {
    if (lastSequence <= applied) await retireSegment(disk, segment)
    // New records claim that these are synced, and so does every answer; a crash may have left them in the page cache.
    else await segment.file.sync()
  }
  return segments.filter(({ lastSequence }) => lastSequence > applied)
}

/** The home of a new directory says 0; a home that says nothing beside data is not the one that belongs to it. */
async function appliedSequence(home: Home, isUsed: boolean): Promise<number> {
  const value = home.get(APPLIED_KEY)
  if (value !== undefined) return Number(textOf(value))
  if (isUsed) {
    throw new HomeLost(
      'The home/ folder is not the one that belongs to the data directory: put it back from a backup, or start with an empty directory.',
    )
  }
  await home.commit([
    [APPLIED_KEY, Buffer.from('0')],
    [USAGE_KEY, encodeUsage(NO_USAGE)],
  ])
  return 0
}

/**
 * Applies a record that the home may hold already, wholly or in part: a checkpoint writes several transactions. A
 * change fits only the state it was decided on; any other state is past it, because states move in record order and
 * a transaction holds whole streams.
 */
function replay(home: Home, layer: Layer, { changes, touches }: RecordBody): void {
  for (const change of changes) {
    const entry = newest(home, layer, change.path)
    const { state, version } = entry
    const isNext = version === change.version && (state === undefined || state.id === change.id)
    if (isNext) layer.replay(change, entry)
  }
  for (const touch of touches) layer.touch(touch, newest(home, layer, touch.path))
}

function newest(home: Home, layer: Layer, path: Parameters<Layer['entries']['get']>[0]): LayerEntry {
  const found = layer.entries.get(path)
  if (found !== undefined) return found
  const value = home.get(streamKey(path))
  const { state, version } = value === undefined ? { state: undefined, version: 0 } : decodeStream(value)
  // What more the home has is left for the checkpoint to look up: a full journal names very many streams.
  return { state, version, home: undefined }
}
