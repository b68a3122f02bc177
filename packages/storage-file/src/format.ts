/** The format of a data directory: one small file that says what it is before anything in it is touched. */
import { BLOCK_FOLDER } from './block-files.ts'
import type { Disk } from './disk.ts'
import { JOURNAL_FOLDER, segmentNumber } from './journal-segment.ts'

/** Version of everything FORMAT.md draws. */
export const FORMAT_VERSION = 1
const FORMAT_FILE = 'FORMAT'
/** Says that a restore is writing here, or was broken off. */
export const RESTORE_MARK = 'RESTORING'
const TEXT = `millrace data directory, format ${FORMAT_VERSION}\n`

/** The directory is not ours to write to; nothing in it was changed. */
export class ForeignDirectory extends Error {
  override readonly name = 'ForeignDirectory'
}

/** Looks before anything is touched: is the directory ours, empty, or absent? Throws `ForeignDirectory`. */
export async function assertOurs(disk: Disk): Promise<void> {
  if (await isDataDirectory(disk)) {
    await checkFormat(disk)
    return
  }
  if (await disk.exists(RESTORE_MARK)) {
    throw new ForeignDirectory(
      'A restore into the data directory has not come to its end: run millrace restore again.',
    )
  }
  const strangers = await strangersIn(disk)
  if (strangers.length === 0) return
  const some = strangers.slice(0, 3).join(', ')
  throw new ForeignDirectory(
    `The data directory is not empty and not Millrace's (it has ${some}): choose another one.`,
  )
}

/** Marks a new directory as ours; to be called by its owner. */
export async function openFormat(disk: Disk): Promise<void> {
  await assertOurs(disk)
  if (await isDataDirectory(disk)) {
    // A start that ended before this line may have left the name in memory only: nothing may survive it.
    await disk.syncFolder('')
  } else await writeFormat(disk)
}

/** Makes a data directory of what is there; it survives a power cut when this resolves. */
export async function writeFormat(disk: Disk): Promise<void> {
  const file = await disk.create(`${FORMAT_FILE}.new`).catch(async () => {
    await disk.remove(`${FORMAT_FILE}.new`)
    return disk.create(`${FORMAT_FILE}.new`)
  })
  await file.write(0, [Buffer.from(TEXT)])
  await file.sync()
  await file.close()
  await disk.rename(`${FORMAT_FILE}.new`, FORMAT_FILE)
  await disk.syncFolder('')
}

/** Whether a directory has been made a data directory, of whatever format. */
export function isDataDirectory(disk: Disk): Promise<boolean> {
  return disk.exists(FORMAT_FILE)
}

/** What is in a directory that is none yet, but for what Millrace may leave in an empty one. */
export async function strangersIn(disk: Disk): Promise<readonly string[]> {
  return (await disk.list('')).filter((name) => !OWN_NAMES.has(name))
}

/** Whether there is more than an interrupted first start leaves. */
export async function hasData(disk: Disk): Promise<boolean> {
  const blocks = await disk.list(BLOCK_FOLDER)
  const segments = await disk.list(JOURNAL_FOLDER)
  return blocks.length > 0 || segments.some((name) => (segmentNumber(name) ?? 1) > 1)
}

/** What an interrupted first start leaves behind. */
const OWN_NAMES = new Set(['LOCK', `${FORMAT_FILE}.new`])

async function checkFormat(disk: Disk): Promise<void> {
  const file = await disk.open(FORMAT_FILE)
  const text = Buffer.from(await file.read(0, 256)).toString()
  await file.close()
  if (text === TEXT) return
  const version = /^millrace data directory, format ([0-9]+)\n$/.exec(text)?.[1]
  throw new ForeignDirectory(
    version === undefined
      ? 'The data directory has a FORMAT file that is not Millrace\u2019s: choose another directory.'
      : `The data directory has format ${version}; this version reads format ${FORMAT_VERSION}. Use the version of Millrace that wrote it.`,
  )
}
