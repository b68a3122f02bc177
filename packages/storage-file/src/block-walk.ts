/**
 * Goes through block files from front to back, whoever uses the blocks: finds damage where no stream has bytes any
 * more, and damage at all where the home cannot be asked.
 */
import { BlockDamaged, blockBytes, decodeBlock } from './block-codec.ts'
import { BLOCK_FILE_HEADER_BYTES, blockFileName, isBlockFileHeader } from './block-files.ts'
import type { Disk, DiskFile } from './disk.ts'
import { type CheckReport, inFile, RESTORE } from './finding.ts'
import type { ReadableHome } from './home.ts'
import type { FileUse } from './state-codec.ts'

/** What block files are checked against. */
export interface BlockWalkContext {
  readonly disk: Disk
  readonly fileSizes: ReadonlyMap<number, number>
  /** The use of each file, as the home has it; `undefined` if the home cannot be asked. */
  readonly uses: ReadonlyMap<number, FileUse> | undefined
  readonly home: ReadableHome | undefined
  readonly report: CheckReport
}

const WINDOW_BYTES = 1024 * 1024
/** No block is larger: a payload of 64 KiB, and the units of as many one-byte messages. */
const MOST_BLOCK_BYTES = 2 * 1024 * 1024

/** Checks every block file that exists. */
export async function walkBlockFiles(context: BlockWalkContext): Promise<void> {
  const { disk, fileSizes, report } = context
  for (const [number, size] of fileSizes) {
    report.count('blockFiles')
    const name = blockFileName(number)
    const file = await disk.open(name)
    try {
      await checkFile(context, { number, name, size, file })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      report.find({
        severity: 'error',
        where: inFile(name),
        what: `The disk cannot read the file: ${reason}`,
      })
    } finally {
      await file.close()
    }
  }
}

/** Block files on the disk, in order of their numbers, with their sizes. */
export async function blockFileSizes(disk: Disk, numbers: readonly number[]): Promise<Map<number, number>> {
  const sizes = new Map<number, number>()
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const file = await disk.open(blockFileName(number))
    sizes.set(number, await file.size())
    await file.close()
  }
  return sizes
}

interface OpenBlockFile {
  readonly number: number
  readonly name: string
  readonly size: number
  readonly file: DiskFile
}

async function checkFile({ uses, home, report }: BlockWalkContext, open: OpenBlockFile): Promise<void> {
  const { number, name, size, file } = open
  const use = uses?.get(number)
  if (uses !== undefined && use === undefined) {
    const what = 'Nothing names this block file: it is left from a checkpoint that was broken off.'
    report.find({ severity: 'notice', where: inFile(name), what: `${what} The next start removes it.` })
    return
  }
  const header = await file.read(0, BLOCK_FILE_HEADER_BYTES)
  if (!isBlockFileHeader(header, number)) {
    const what = 'The header of the block file is damaged; the blocks in it can still be read.'
    report.find({ severity: 'error', where: inFile(name, 0, BLOCK_FILE_HEADER_BYTES), what })
  }
  const end = use === undefined ? size : Math.min(size, BLOCK_FILE_HEADER_BYTES + use.sizeBytes)
  if (size > end) {
    const what = 'Nothing names the bytes at the end of this file: a checkpoint was broken off.'
    report.find({ severity: 'notice', where: inFile(name, end, size), what })
  }
  await walkBlocks(home, report, open, end)
}

/** Every block of a file; those that the home names have been checked already, where they are used. */
async function walkBlocks(
  home: ReadableHome | undefined,
  report: CheckReport,
  { name, file }: OpenBlockFile,
  end: number,
): Promise<void> {
  let window = { at: BLOCK_FILE_HEADER_BYTES, bytes: new Uint8Array(0) as Uint8Array }
  for (let at = BLOCK_FILE_HEADER_BYTES; at < end; ) {
    let inWindow = window.bytes.subarray(Math.max(0, at - window.at))
    let size = blockBytes(inWindow)
    if (size === undefined || size > inWindow.length) {
      window = {
        at,
        bytes: await file.read(at, Math.min(end - at, Math.max(WINDOW_BYTES, boundedSize(size)))),
      }
      await report.progress(home === undefined ? window.bytes.length : 0)
      inWindow = window.bytes
      size = blockBytes(inWindow)
    }
    if (size === undefined || size === 0 || size > inWindow.length) {
      const what = 'No block begins here; what follows was checked only where the home names it.'
      report.find({ severity: 'error', where: inFile(name, at, end), what, whatToDo: RESTORE })
      return
    }
    checkOne(home, report, { name, at }, inWindow.subarray(0, size))
    at += size
  }
}

function boundedSize(size: number | undefined): number {
  return size === undefined ? 0 : Math.min(size, MOST_BLOCK_BYTES)
}

interface WalkedPlace {
  readonly name: string
  readonly at: number
}

function checkOne(
  home: ReadableHome | undefined,
  report: CheckReport,
  { name, at }: WalkedPlace,
  bytes: Uint8Array,
): void {
  try {
    const { from, to } = decodeBlock(bytes)
    if (home !== undefined) return
    report.count('blocks')
    report.count('blockBytes', to - from)
  } catch (error) {
    if (!(error instanceof BlockDamaged)) throw error
    const what = `A block is damaged: ${error.message}. A stream that has bytes in it is named by itself.`
    report.find({ severity: 'error', where: inFile(name, at, at + bytes.length), what, whatToDo: RESTORE })
  }
}
