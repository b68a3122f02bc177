/**
 * Checks the content of a data directory: journal, home and block files, each by itself and against the others. Does
 * not lock and changes nothing. What memory it takes depends on the journal and the number of block files.
 */
import { BLOCK_FOLDER, BlockFiles, blockFileNumber } from './block-files.ts'
import { blockFileSizes, walkBlockFiles } from './block-walk.ts'
import { ForkCheck } from './check-forks.ts'
import { checkHome, type NamedBlocks } from './check-home.ts'
import { checkJournal, segmentKnownTo } from './check-journal.ts'
import { ReplayedHome } from './check-replay.ts'
import type { Disk } from './disk.ts'
import { RESERVE_FILE } from './disk-reserve.ts'
import { type CheckReport, inFile, RESTORE } from './finding.ts'
import { hasData, RESTORE_MARK } from './format.ts'
import type { ReadableHome } from './home.ts'
import { APPLIED_KEY } from './home-keys.ts'
import { HOME_FILE, look } from './home-walk.ts'
import { JOURNAL_FOLDER, SPARE, segmentNumber } from './journal-segment.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { SNAPSHOT_FOLDER } from './snapshot.ts'
import { textOf } from './state-codec.ts'

/** Names that a data directory has, and what a first start leaves that did not come to its end. */
const KNOWN_NAMES = new Set([
  'FORMAT',
  'LOCK',
  'FORMAT.new',
  JOURNAL_FOLDER,
  BLOCK_FOLDER,
  'home',
  'home.new',
  RESERVE_FILE,
  RESTORE_MARK,
  SNAPSHOT_FOLDER,
  // The admin socket of a server, and where it is made.
  'admin.sock',
  'admin.new',
])

/** Checks everything; without a home, each file by itself. */
export async function checkData(
  disk: Disk,
  home: ReadableHome | undefined,
  report: CheckReport,
): Promise<void> {
  await checkNames(disk, report)
  const numbers = (await disk.list(BLOCK_FOLDER)).flatMap((name) => blockFileNumber(name) ?? [])
  const fileSizes = await blockFileSizes(disk, numbers)
  if (home === undefined) {
    await checkJournal({ disk, report, applied: undefined, segment: 0, apply: () => undefined })
    await walkBlockFiles({ disk, fileSizes, named: undefined, report })
    return
  }
  const applied = await appliedIn(disk, home, report)
  const replayed = new ReplayedHome(home, report)
  const journal = await checkJournal({
    disk,
    report,
    applied,
    segment: segmentKnownTo(home),
    apply: (record) => replayed.apply(record),
  })
  // Without its end, records that say what became of a stream may be missing.
  if (journal.isComplete) replayed.finish()
  const forks = new ForkCheck({ home, replayed, report })
  const named = await checkBlocksOf(disk, home, fileSizes, report, forks)
  if (journal.isComplete) await forks.finish()
  else report.find(forksUnchecked())
  await walkBlockFiles({ disk, fileSizes, named, report })
}

async function checkBlocksOf(
  disk: Disk,
  home: ReadableHome,
  fileSizes: ReadonlyMap<number, number>,
  report: CheckReport,
  forks: ForkCheck,
): Promise<NamedBlocks> {
  const blocks = new BlockFiles(disk, { ...DEFAULT_STORE_LIMITS, blockCacheBytes: 0 }, 1)
  try {
    return await checkHome({ home, blocks, fileSizes, report, onStream: ({ state }) => forks.add(state) })
  } finally {
    await blocks.close()
  }
}

/** A home that says nothing beside data is not the one that belongs to it. */
async function appliedIn(disk: Disk, home: ReadableHome, report: CheckReport): Promise<number | undefined> {
  const looked = look(home, APPLIED_KEY)
  if (looked.kind === 'found') return Number(textOf(looked.value))
  if (looked.kind === 'missing' && !(await hasData(disk))) return 0
  report.find({
    severity: 'error',
    where: inFile(HOME_FILE),
    what: 'The home does not say which part of the journal it holds.',
    whatToDo: RESTORE,
  })
  return undefined
}

/** Bytes that a check will look at. */
export async function sizeOfData(disk: Disk): Promise<number> {
  const numbers = (await disk.list(BLOCK_FOLDER)).flatMap((name) => blockFileNumber(name) ?? [])
  let size = 0
  for (const bytes of (await blockFileSizes(disk, numbers)).values()) size += bytes
  for (const name of await disk.list(JOURNAL_FOLDER)) {
    if (segmentNumber(name) === undefined) continue
    const file = await disk.open(`${JOURNAL_FOLDER}/${name}`)
    size += await file.size()
    await file.close()
  }
  return size
}

async function checkNames(disk: Disk, report: CheckReport): Promise<void> {
  const strangers = [
    ...(await disk.list('')).filter((name) => !KNOWN_NAMES.has(name)),
    ...(await disk.list(JOURNAL_FOLDER))
      .filter((name) => segmentNumber(name) === undefined && `${JOURNAL_FOLDER}/${name}` !== SPARE)
      .map((name) => `${JOURNAL_FOLDER}/${name}`),
    ...(await disk.list(BLOCK_FOLDER))
      .filter((name) => blockFileNumber(name) === undefined)
      .map((name) => `${BLOCK_FOLDER}/${name}`),
  ]
  for (const name of strangers)
    report.find({ severity: 'notice', where: inFile(name), what: 'This is not a file of Millrace.' })
}

function forksUnchecked(): Parameters<CheckReport['find']>[0] {
  return {
    severity: 'notice',
    where: inFile(JOURNAL_FOLDER),
    what: 'Whether forks and their sources agree was not checked, because the journal is damaged.',
  }
}
