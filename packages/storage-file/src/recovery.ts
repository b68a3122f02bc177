/**
 * Opening a data directory: who owns it, what format it has, what the journal holds that blocks and home do not, and
 * where writing goes on. Nothing is served before all of it is known.
 */
import { type Clock, NO_USAGE } from '@millrace/engine'
import { BLOCK_FOLDER, BlockFiles } from './block-files.ts'
import { closeAll } from './close-all.ts'
import { type Disk, DiskFull, type DiskLock } from './disk.ts'
import { DiskReserve } from './disk-reserve.ts'
import { createFileStore, type Durability, type FileStore } from './file-store.ts'
import { assertOurs, hasData, openFormat } from './format.ts'
import { startOfRun } from './generation-mark.ts'
import { type Home, HomeLost } from './home.ts'
import { APPLIED_KEY, JOURNAL_KEY, streamKey, USAGE_KEY } from './home-keys.ts'
import { Journal, type JournalStart, type RetiredSegment } from './journal.ts'
import { readJournal } from './journal-reader.ts'
import { JOURNAL_FOLDER, retireSegment } from './journal-segment.ts'
import { Layer, type LayerEntry } from './layer.ts'
import { DEFAULT_STORE_LIMITS, type StoreLimits } from './limits.ts'
import { removeOrphans } from './reclaim.ts'
import type { RecordBody } from './record-codec.ts'
import { beginRun, knownSegment } from './run-marks.ts'
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
  await openFormat(disk)
  const isUsed = await hasData(disk)
  const home = await options.openHome(!isUsed)
  opened.push(home)
  const applied = await appliedSequence(home, isUsed)
  const replayed = new Layer()
  const end = await readJournal(
    disk,
    { applied, segment: knownSegment(home.get(JOURNAL_KEY)) },
    ({ sequence, body }) => {
      replay(home, replayed, body)
      replayed.sequence = sequence
      replayed.records++
    },
  )
  replayed.sequence = end.lastSequence
  // Only now: a directory that is refused is left as it is.
  await prepareFolders(disk)
  const nextFile = await removeOrphans(disk, home)
  const kept = await keepNeeded(disk, end.segments, applied)
  opened.push(...kept.old.map(({ segment }) => segment.file))
  if (kept.recycled !== undefined) opened.push(kept.recycled.file)
  const reserve = new DiskReserve(disk, limits.checkpointReserveBytes)
  const begin = { ...kept, nextSegment: end.nextSegment, lastSequence: end.lastSequence }
  const journal = await startJournal({ disk, limits, reserve, begin, isUsed })
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
    reserve,
    durability,
    generation,
    clock,
    replayed,
    onPoisoned,
  })
  // Where the journal could not be written again, a checkpoint makes what was replayed safe before anything rests on it.
  if (!end.isAnew) await store.checkpoint()
  await beginRun(home, run.changes, journal.segment)
  return store
}

async function prepareFolders(disk: Disk): Promise<void> {
  await disk.makeFolder(JOURNAL_FOLDER)
  await disk.makeFolder(BLOCK_FOLDER)
  await disk.syncFolder('')
  // Of a snapshot that was open when the last run ended; its room may be needed.
  await removeSnapshotCopy(disk)
}

/** Segments with something to replay, synced. The others are retired, but for the newest: see `recycled`. */
async function keepNeeded(
  disk: Disk,
  segments: readonly RetiredSegment[],
  applied: number,
): Promise<Pick<JournalStart, 'old' | 'recycled'>> {
  const newest = segments.at(-1)
  // Those that are applied go first: one of them is the room for the new one when the disk is full.
  for (const { segment, lastSequence } of segments) {
    // New records claim that these are synced, and so does every answer; a crash may have left them in the page cache.
    if (lastSequence > applied) await segment.file.sync()
    else if (segment !== newest?.segment) await retireSegment(disk, segment)
  }
  const old = segments.filter(({ lastSequence }) => lastSequence > applied)
  return { old, recycled: newest && newest.lastSequence <= applied ? newest.segment : undefined }
}

interface JournalRoom {
  readonly disk: Disk
  readonly limits: StoreLimits
  readonly reserve: DiskReserve
  readonly begin: JournalStart
  readonly isUsed: boolean
}

/**
 * The reserve comes before anything else takes the room: a run that ended on a full disk has spent it, and appends that
 * were let in without it would leave none for the checkpoint that has to apply deletions. Where a segment finds no
 * room, the reserve gives it some; a new directory has nothing to delete yet, so it is refused.
 */
async function startJournal({ disk, limits, reserve, begin, isUsed }: JournalRoom): Promise<Journal> {
  if (!isUsed) {
    await reserve.hold()
    return Journal.start(disk, limits, begin)
  }
  await reserve.holdIfRoom()
  if (!reserve.isSpent) {
    try {
      return await Journal.start(disk, limits, begin)
    } catch (error) {
      if (!(error instanceof DiskFull) || !(await reserve.spend())) throw error
    }
  }
  return Journal.start(disk, limits, { ...begin, isTight: true })
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
