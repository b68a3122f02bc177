/**
 * Goes through block files from front to back, whoever uses the blocks: finds damage where no stream has bytes any
 * more, and damage at all where the home cannot be asked.
 */
import { BlockDamaged, blockBytes, decodeBlock } from './block-codec.ts'
import { BLOCK_FILE_HEADER_BYTES, blockFileName, isBlockFileHeader, whyUnreadable } from './block-files.ts'
import { type NamedBlocks, placeKey } from './check-home.ts'
import type { Disk, DiskFile } from './disk.ts'
import { type CheckReport, type Finding, type FindingPlace, inFile, RESTORE } from './finding.ts'

/** What block files are checked against. */
export interface BlockWalkContext {
  readonly disk: Disk
  readonly fileSizes: ReadonlyMap<number, number>
  /** What the home knows of them, whose blocks have been checked already; `undefined` if it cannot be asked. */
  readonly named: NamedBlocks | undefined
  readonly report: CheckReport
}

/** Larger than any block: a payload of 64 KiB, and the units of as many one-byte messages. */
const WINDOW_BYTES = 2 * 1024 * 1024

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

/** Block files on the disk, in order of their numbers, with their sizes; without those that cannot be opened. */
export async function blockFileSizes(disk: Disk, numbers: readonly number[]): Promise<Map<number, number>> {
  const sizes = new Map<number, number>()
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const file = await openReadable(disk, blockFileName(number))
    if (file === undefined) continue
    sizes.set(number, await file.size())
    await file.close()
  }
  return sizes
}

async function openReadable(disk: Disk, name: string): Promise<DiskFile | undefined> {
  try {
    return await disk.open(name)
  } catch (error) {
    if (whyUnreadable(error) === undefined) throw error
    return undefined
  }
}

interface OpenBlockFile {
  readonly number: number
  readonly name: string
  readonly size: number
  readonly file: DiskFile
}

async function checkFile({ named, report }: BlockWalkContext, open: OpenBlockFile): Promise<void> {
  const { number, name, size, file } = open
  const use = named?.uses.get(number)
  if (named !== undefined && use === undefined) {
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
  await walkBlocks(named, report, open, end)
}

/** Every block of a file; damage of those that the home names has been reported where they are used. */
async function walkBlocks(
  named: NamedBlocks | undefined,
  report: CheckReport,
  open: OpenBlockFile,
  end: number,
): Promise<void> {
  const { number, name, file } = open
  const window = new Window(file, end)
  for (let at = BLOCK_FILE_HEADER_BYTES; at < end; ) {
    const reported = named?.damaged.get(placeKey(number, at))
    if (reported !== undefined) {
      at += reported
      continue
    }
    const bytes = await window.blockAt(at)
    if (bytes === undefined) {
      report.find(unused(named, inFile(name, at, end), 'No block begins here.'))
      return
    }
    const wrong = wrongWith(bytes, named === undefined ? report : undefined)
    if (wrong !== undefined) {
      const where = inFile(name, at, at + bytes.length)
      report.find(unused(named, where, `A block is damaged: ${wrong}.`))
    }
    at += bytes.length
    await report.progress(named === undefined ? bytes.length : 0)
  }
}

/** Damage that no stream was found to suffer from; without a home nobody knows. */
function unused(named: NamedBlocks | undefined, where: FindingPlace, what: string): Finding {
  return named === undefined
    ? { severity: 'error', where, what, whatToDo: RESTORE }
    : { severity: 'notice', where, what: `${what} No stream is known to have bytes there any more.` }
}

/** The part of a file that is in memory. */
class Window {
  readonly #file: DiskFile
  readonly #end: number
  #at = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(file: DiskFile, end: number) {
    this.#file = file
    this.#end = end
  }

  /** The block that begins at a place, checked or not; `undefined` if none does. */
  async blockAt(at: number): Promise<Uint8Array | undefined> {
    const inMemory = this.#block(at)
    if (inMemory !== undefined) return inMemory
    this.#at = at
    this.#bytes = await this.#file.read(at, Math.min(this.#end - at, WINDOW_BYTES))
    return this.#block(at)
  }

  #block(at: number): Uint8Array | undefined {
    if (at < this.#at || at >= this.#at + this.#bytes.length) return undefined
    const rest = this.#bytes.subarray(at - this.#at)
    const size = blockBytes(rest)
    return size === undefined || size === 0 || size > rest.length ? undefined : rest.subarray(0, size)
  }
}

function wrongWith(bytes: Uint8Array, counting: CheckReport | undefined): string | undefined {
  try {
    const { from, to } = decodeBlock(bytes)
    counting?.count('blocks')
    counting?.count('blockBytes', to - from)
    return undefined
  } catch (error) {
    if (error instanceof BlockDamaged) return error.message
    throw error
  }
}
