/** The format of a data directory: one small file that says what it is before anything in it is touched. */
import type { Disk } from './disk.ts'

/** Version of everything FORMAT.md draws. */
export const FORMAT_VERSION = 1
const FORMAT_FILE = 'FORMAT'
const TEXT = `millrace data directory, format ${FORMAT_VERSION}\n`

/** The directory is not ours to write to; nothing in it was changed. */
export class ForeignDirectory extends Error {
  override readonly name = 'ForeignDirectory'
}

/** Looks before anything is touched: is the directory ours, empty, or absent? Throws `ForeignDirectory`. */
export async function assertOurs(disk: Disk): Promise<void> {
  if (await disk.exists(FORMAT_FILE)) {
    await checkFormat(disk)
    return
  }
  const strangers = (await disk.list('')).filter((name) => !OWN_NAMES.has(name))
  if (strangers.length === 0) return
  const some = strangers.slice(0, 3).join(', ')
  throw new ForeignDirectory(
    `The data directory is not empty and not Millrace's (it has ${some}): choose another one.`,
  )
}

/** Marks a new directory as ours; to be called by its owner. */
export async function openFormat(disk: Disk): Promise<void> {
  await assertOurs(disk)
  if (await disk.exists(FORMAT_FILE)) {
    // A start that ended before this line may have left the name in memory only: nothing may survive it.
    await disk.syncFolder('')
    return
  }
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
