/**
 * Block files: immutable blocks, written once by a checkpoint, read with positioned reads off the main thread. It
 * knows places, not streams; which block is where is the home's business.
 */
import type { StreamId } from '@millrace/protocol'
import {
  type Block,
  BlockDamaged,
  type BlockToWrite,
  decodeBlock,
  encodeBlock,
  mostBlockBytes,
} from './block-codec.ts'
import type { BlockSpan } from './block-spans.ts'
import { checksum } from './checksum.ts'
import type { Disk, DiskFile } from './disk.ts'
import type { StoreLimits } from './limits.ts'
import { OpenFiles } from './open-files.ts'
import type { BlockPlace } from './state-codec.ts'

/** Folder of the block files in the data directory. */
export const BLOCK_FOLDER = 'blocks'
/** Bytes in front of the first block of a file. */
export const BLOCK_FILE_HEADER_BYTES = 64
const MAGIC = Buffer.from('MILLRB01', 'latin1')
const WRITE_BYTES = 1024 * 1024

/** The file of blocks with a number. */
export function blockFileName(file: number): string {
  return `${BLOCK_FOLDER}/${String(file).padStart(10, '0')}.blk`
}

/** The number of a block file, or `undefined` if it is not one. */
export function blockFileNumber(fileName: string): number | undefined {
  const match = /^([0-9]{10})\.blk$/.exec(fileName)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** Whether these are the bytes in front of the blocks of this file. */
export function isBlockFileHeader(bytes: Uint8Array, file: number): boolean {
  return fileHeader(file).equals(bytes)
}

function fileHeader(file: number): Buffer {
  const header = Buffer.alloc(BLOCK_FILE_HEADER_BYTES)
  MAGIC.copy(header, 0)
  header.writeUInt32LE(file, 8)
  header.writeUInt32LE(checksum(header.subarray(0, 12)), 12)
  return header
}

/** What a full cache is cut to. */
const KEPT_SHARE = 0.9
/** Memory that a block and its entry take besides payload and units. */
const CACHE_ENTRY_BYTES = 512
const UNIT_BYTES = 64

function cachedBytes({ payload, units }: Block): number {
  return CACHE_ENTRY_BYTES + payload.length + units.length * UNIT_BYTES
}

interface WritingFile {
  readonly number: number
  readonly file: DiskFile
  /** Bytes on disk. */
  writtenBytes: number
  /** Bytes of the gathering buffer that belong behind them. */
  gatheredBytes: number
  isNew: boolean
}

/** Reads blocks, and writes those of one checkpoint at a time. */
export class BlockFiles {
  readonly #disk: Disk
  readonly #limits: StoreLimits
  readonly #open: OpenFiles
  readonly #cache = new Map<string, Block>()
  #cachedBytes = 0
  /** Files that could not be read to their end: another rewrite would only write the same copies for nothing. */
  readonly damagedFiles: Set<number> = new Set()
  #writing: WritingFile | undefined
  /** Blocks on their way to the disk; one write at a time. */
  #gather = Buffer.allocUnsafeSlow(WRITE_BYTES)
  #nextFile: number

  constructor(disk: Disk, limits: StoreLimits, nextFile: number) {
    this.#disk = disk
    this.#limits = limits
    this.#nextFile = nextFile
    this.#open = new OpenFiles(disk, limits.openBlockFiles)
  }

  /** The file that blocks are being added to; it is never rewritten. */
  get writingFile(): number | undefined {
    return this.#writing?.number
  }

  /** A block of a stream, checked; throws `BlockDamaged` with the place if it is not what was written. */
  async read(id: StreamId, place: BlockPlace): Promise<Block> {
    const key = `${place.file}:${place.at}`
    const cached = this.#cache.get(key)
    if (cached !== undefined && isAt(cached, id, place)) {
      this.#cache.delete(key)
      this.#cache.set(key, cached)
      return cached
    }
    const block = await this.load(id, place)
    this.#keep(key, block)
    return block
  }

  /** The same for one who will not ask for it again: nothing is kept in memory. */
  async load(id: StreamId, place: BlockPlace): Promise<Block> {
    try {
      const block = decodeBlock(await this.readRaw(place.file, place.at, place.sizeBytes))
      if (!isAt(block, id, place)) throw new BlockDamaged('it is another block')
      return block
    } catch (error) {
      if (!(error instanceof BlockDamaged)) throw error
      const file = `${blockFileName(place.file)}, bytes ${place.at} to ${place.at + place.sizeBytes}`
      throw new BlockDamaged(
        `Bytes ${place.from} to ${place.to} of the stream are damaged on the disk (${file}: ${error.message}).`,
      )
    }
  }

  /**
   * The blocks of a span, in the order wanted; `undefined` for one that cannot be read. What cannot be read together is
   * read one by one: damage of a block is nothing to its neighbours.
   */
  async loadSpan(
    span: BlockSpan<{ readonly id: StreamId; readonly place: BlockPlace }>,
  ): Promise<readonly (Block | undefined)[]> {
    const { file, from, to, wanted } = span
    const bytes = await this.readRaw(file, from, to - from).catch(() => undefined)
    const found: (Block | undefined)[] = []
    for (const { id, place } of wanted) {
      const at = place.at - from
      const block = bytes && blockIn(bytes.subarray(at, at + place.sizeBytes))
      const isRight = block !== undefined && isAt(block, id, place)
      found.push(isRight ? block : await this.load(id, place).catch(() => undefined))
    }
    return found
  }

  /** Adds a block; it may be read at its place, and the place may be remembered, after `sync`. */
  async add(block: BlockToWrite): Promise<BlockPlace> {
    const writing = this.#writing ?? (await this.#newFile())
    const most = mostBlockBytes(block)
    if (writing.gatheredBytes + most > this.#gather.length) await this.#flush(writing)
    if (most > this.#gather.length) this.#gather = Buffer.allocUnsafeSlow(most)
    const at = writing.writtenBytes + writing.gatheredBytes
    const sizeBytes = encodeBlock(block, this.#gather, writing.gatheredBytes)
    writing.gatheredBytes += sizeBytes
    return { file: writing.number, at, sizeBytes, from: block.from, to: block.to }
  }

  /** Makes every block added so far survive a power cut, its file's entry in the folder included. */
  async sync(): Promise<void> {
    const writing = this.#writing
    if (writing === undefined) return
    await this.#flush(writing)
    await writing.file.sync()
    if (writing.isNew) await this.#disk.syncFolder(BLOCK_FOLDER)
    writing.isNew = false
    if (writing.writtenBytes < this.#limits.blockFileBytes) return
    this.#writing = undefined
    await writing.file.close()
  }

  /**
   * Goes on in a new file: what was added since the last `sync` may never be named. So bytes that nothing names are
   * only ever at the end of a file.
   */
  async abandon(): Promise<void> {
    const writing = this.#writing
    this.#writing = undefined
    await writing?.file.close()
  }

  /** Removes a file that nothing names any more. */
  async remove(number: number): Promise<void> {
    await this.#open.release(blockFileName(number))
    await this.#disk.remove(blockFileName(number))
  }

  async close(): Promise<void> {
    await this.#open.close()
    await this.#writing?.file.close()
  }

  /**
   * The raw bytes of a file, for whoever looks for the blocks in it. A file that is gone, or that the medium cannot
   * read, is damage of the blocks in it: throws `BlockDamaged`.
   */
  async readRaw(number: number, at: number, length: number): Promise<Uint8Array> {
    try {
      return await this.#open.use(blockFileName(number), (file) => file.read(at, length))
    } catch (error) {
      const reason = whyUnreadable(error)
      throw reason === undefined ? error : new BlockDamaged(reason)
    }
  }

  async #newFile(): Promise<WritingFile> {
    const number = this.#nextFile++
    const file = await this.#disk.create(blockFileName(number))
    try {
      await file.write(0, [fileHeader(number)])
    } catch (error) {
      await file.close()
      await this.#disk.remove(blockFileName(number))
      throw error
    }
    this.#writing = {
      number,
      file,
      writtenBytes: BLOCK_FILE_HEADER_BYTES,
      gatheredBytes: 0,
      isNew: true,
    }
    return this.#writing
  }

  async #flush(writing: WritingFile): Promise<void> {
    if (writing.gatheredBytes === 0) return
    await writing.file.write(writing.writtenBytes, [this.#gather.subarray(0, writing.gatheredBytes)])
    writing.writtenBytes += writing.gatheredBytes
    writing.gatheredBytes = 0
  }

  #keep(key: string, block: Block): void {
    // Read twice at the same time, it is there already.
    if (this.#cache.has(key)) return
    this.#cache.set(key, block)
    this.#cachedBytes += cachedBytes(block)
    if (this.#cachedBytes <= this.#limits.blockCacheBytes) return
    for (const [oldest, kept] of this.#cache) {
      this.#cache.delete(oldest)
      this.#cachedBytes -= cachedBytes(kept)
      // Some room at a time: to find the oldest entry is dear after many have gone.
      if (this.#cachedBytes <= this.#limits.blockCacheBytes * KEPT_SHARE) return
    }
  }
}

function isAt(block: Block, id: StreamId, place: BlockPlace): boolean {
  return block.id === id && block.from === place.from && block.to === place.to
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'the file is missing',
  EIO: 'the disk cannot read them',
  EACCES: 'the user of this process may not read the file',
  EPERM: 'the user of this process may not read the file',
  EISDIR: 'a folder is in the place of the file',
  ELOOP: 'a link that leads nowhere is in the place of the file',
}

/** Why bytes of a block file cannot be had, if that is not for want of something that passes. */
export function whyUnreadable(error: unknown): string | undefined {
  return UNREADABLE[String(systemCode(error))]
}

/** The system's code, of the error itself or of what it was made of. */
function systemCode(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  return 'code' in error ? error.code : systemCode(error.cause)
}

function blockIn(bytes: Uint8Array): Block | undefined {
  try {
    return decodeBlock(bytes)
  } catch (error) {
    if (!(error instanceof BlockDamaged)) throw error
    return undefined
  }
}
