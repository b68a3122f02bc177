/**
 * Checks the home in one walk over its keys, in order: each entry against its checksum and against the entries and
 * blocks that belong to it. Memory depends on the number of block files, never on the number of streams.
 */
import { changeOf, NO_USAGE, plus, type Usage } from '@millrace/engine'
import { ownFrom, type StreamId, type StreamPath } from '@millrace/protocol'
import { BLOCK_FILE_HEADER_BYTES, type BlockFiles, blockFileName } from './block-files.ts'
import { checkBlock } from './check-block.ts'
import { type CheckReport, type FindingPlace, inFile, inStream, RESTORE } from './finding.ts'
import type { ReadableHome } from './home.ts'
import {
  blockKey,
  dueKey,
  FACT_KEYS,
  fileOf,
  identityKey,
  parseBlockKey,
  parseDueKey,
  streamKey,
  USAGE_KEY,
} from './home-keys.ts'
import { HOME_FILE, type Looked, look, lookUpStream, walkHome } from './home-walk.ts'
import {
  decodePlace,
  decodeStream,
  decodeUsage,
  decodeUse,
  type FileUse,
  type StoredStream,
  textOf,
} from './state-codec.ts'

/** What the home is checked against. */
export interface HomeContext {
  readonly home: ReadableHome
  readonly blocks: BlockFiles
  /** Sizes of the block files that exist, by number. */
  readonly fileSizes: ReadonlyMap<number, number>
  readonly report: CheckReport
  /** Told every stream of the home. */
  onStream(stream: StoredStream): void
}

/** Blocks of one stream, while the walk goes over them. */
interface BlockRun {
  readonly id: StreamId
  readonly path: StreamPath | undefined
  readonly stored: number
  /** Where the next block has to begin. */
  at: number
}

/** What the home knows of the block files. */
export interface NamedBlocks {
  /** The use of each file. */
  readonly uses: ReadonlyMap<number, FileUse>
  /** Sizes of the named blocks that are damaged, by place. */
  readonly damaged: ReadonlyMap<string, number>
}

/** Key of a place in `damaged`. */
export function placeKey(file: number, at: number): string {
  return `${file}:${at}`
}

/** Checks all entries; returns what the home knows of the block files. */
export async function checkHome(context: HomeContext): Promise<NamedBlocks> {
  const check = new HomeCheck(context)
  const { home, report } = context
  let entries = 0
  for await (const [key, value] of walkHome(home, '\x01', '\x7f', report)) {
    entries++
    await check.entry(key, value)
  }
  report.count('homeEntries', entries)
  check.finish(entries)
  return check
}

class HomeCheck {
  readonly #context: HomeContext
  readonly #live = new Map<number, number>()
  readonly uses = new Map<number, FileUse>()
  readonly damaged = new Map<string, number>()
  #run: BlockRun | undefined
  #found: Usage = NO_USAGE
  /** What the home says of that; missing in one that was not counted from the start. */
  #counted: Usage | undefined

  constructor(context: HomeContext) {
    this.#context = context
  }

  async entry(key: string, value: Uint8Array): Promise<void> {
    const isBlock = key.startsWith('b/')
    if (!isBlock) this.#endRun()
    if (isBlock) await this.#block(key, value)
    else if (key.startsWith('d/')) this.#due(key)
    else if (key.startsWith('f/')) this.#file(key, value)
    else if (key.startsWith('i/')) this.#identity(key, value)
    else if (key.startsWith('s/')) this.#stream(key, value)
    else if (key === USAGE_KEY) this.#counted = decodeUsage(value)
    else if (!FACT_KEYS.has(key)) this.#error(inFile(HOME_FILE), `The home has an unknown entry ${key}.`)
  }

  finish(entries: number): void {
    this.#endRun()
    const { entryCount } = this.#context.home
    for (const [file, bytes] of this.#live) {
      this.#error(
        inFile(blockFileName(file)),
        `The home names blocks of ${bytes} bytes in this file, but does not count it.`,
      )
    }
    if (entryCount === undefined || entryCount === entries) {
      this.#checkCount()
      return
    }
    this.#error(inFile(HOME_FILE), `The home has ${entryCount} entries, but ${entries} can be read.`)
  }

  /** Only where every entry could be read: the streams of the others are missing in the sum, and reported. */
  #checkCount(): void {
    const [counted, found] = [this.#counted, this.#found]
    if (counted === undefined || (counted.streams === found.streams && counted.bytes === found.bytes)) return
    this.#error(
      inFile(HOME_FILE),
      `The home counts ${counted.streams} streams of ${counted.bytes} bytes, but has ${found.streams} of ${found.bytes}.`,
    )
  }

  /** A stream's blocks follow each other without a gap, and each is what the home says. */
  async #block(key: string, value: Uint8Array): Promise<void> {
    const parsed = parseBlockKey(key)
    const place = decodePlace(value)
    if (parsed === undefined || parsed.to !== place.to) {
      this.#error(inFile(HOME_FILE), `The entry ${key} of the home names a block that ends at ${place.to}.`)
      return
    }
    const run = this.#runOf(parsed.id)
    const where = (from: number, to: number): FindingPlace =>
      run.path === undefined ? inFile(blockFileName(place.file)) : inStream(run.path, from, to)
    if (place.from > run.at)
      this.#error(where(run.at, place.from), 'The home names no block for these bytes.')
    if (place.from < run.at)
      this.#error(where(place.from, run.at), 'The home names two blocks for these bytes.')
    run.at = Math.max(run.at, place.to)
    this.#live.set(place.file, (this.#live.get(place.file) ?? 0) + place.sizeBytes)
    const { blocks, report } = this.#context
    const isSound = await checkBlock(blocks, parsed.id, place, where(place.from, place.to), report)
    if (!isSound) this.damaged.set(placeKey(place.file, place.at), place.sizeBytes)
  }

  #runOf(id: StreamId): BlockRun {
    if (this.#run?.id === id) return this.#run
    this.#endRun()
    const owner = this.#ownerOf(id)
    if (owner.kind === 'missing')
      this.#error(inFile(HOME_FILE), `The home has blocks of stream ${id}, but not the stream.`)
    const stream = owner.kind === 'found' ? owner.value : undefined
    this.#run = {
      id,
      path: stream?.state.path,
      stored: stream?.stored ?? Number.NaN,
      at: stream === undefined ? Number.NaN : ownFrom(stream.state),
    }
    return this.#run
  }

  #endRun(): void {
    const run = this.#run
    this.#run = undefined
    if (run?.path === undefined || run.at === run.stored) return
    const [from, to] = [Math.min(run.at, run.stored), Math.max(run.at, run.stored)]
    const what =
      run.at < run.stored ? 'The home names no block for these bytes.' : 'These bytes are nobody’s.'
    this.#error(inStream(run.path, from, to), what)
  }

  #ownerOf(id: StreamId): Looked<StoredStream> {
    const { home } = this.#context
    const identity = look(home, identityKey(id))
    if (identity.kind !== 'found') return identity
    const stream = lookUpStream(home, decodeIdentity(identity.value).path)
    return stream.kind === 'found' && stream.value.state.id !== id ? { kind: 'missing' } : stream
  }

  #due(key: string): void {
    const { path } = parseDueKey(key)
    const stream = lookUpStream(this.#context.home, path)
    if (stream.kind === 'damaged') return
    const due = stream.kind === 'found' ? stream.value.dueAtMs : undefined
    if (due === undefined || dueKey(due, path) !== key)
      this.#error(inStream(path), `The home has a due time that is not the stream’s: ${key}.`)
  }

  /** Keys are in order: all blocks have been seen by now. */
  #file(key: string, value: Uint8Array): void {
    const file = fileOf(key)
    const use = decodeUse(value)
    const named = this.#live.get(file) ?? 0
    this.#live.delete(file)
    this.uses.set(file, use)
    const name = blockFileName(file)
    if (use.liveBytes !== named)
      this.#error(
        inFile(name),
        `The home counts ${use.liveBytes} bytes in use, but names blocks of ${named} bytes.`,
      )
    const size = this.#context.fileSizes.get(file)
    const end = BLOCK_FILE_HEADER_BYTES + use.sizeBytes
    if (size === undefined) this.#error(inFile(name), 'The block file is missing, or cannot be opened.')
    else if (size < end)
      this.#error(inFile(name, size, end), `The block file is ${end - size} bytes too short.`)
  }

  #identity(key: string, value: Uint8Array): void {
    const { path, stored } = decodeIdentity(value)
    const stream = lookUpStream(this.#context.home, path)
    if (stream.kind === 'damaged') return
    if (stream.kind === 'missing') this.#error(inStream(path), `The home lacks the stream that ${key} names.`)
    else if (stream.value.state.id !== key.slice(2) || stream.value.stored !== stored)
      this.#error(inStream(path), `The entry ${key} of the home does not agree with the stream.`)
  }

  #stream(key: string, value: Uint8Array): void {
    const { home, report, onStream } = this.#context
    const stream = decodeStream(value)
    const { state, stored, dueAtMs } = stream
    const { path, id } = state
    report.count('streams')
    this.#found = plus(this.#found, changeOf(undefined, state))
    if (key !== streamKey(path)) this.#error(inStream(path), `The home has this stream under ${key}.`)
    if (stored !== state.tail || stored < ownFrom(state) || state.base > state.tail)
      this.#error(
        inStream(path),
        `The stream ends at ${state.tail}, begins at ${ownFrom(state)}, and has blocks to ${stored}.`,
      )
    if (state.softDeleted && state.refCount <= 0)
      this.#error(inStream(path), 'The stream is deleted and kept for forks, but has none.')
    const belonging = [identityKey(id)]
    if (dueAtMs !== undefined) belonging.push(dueKey(dueAtMs, path))
    if (stored > ownFrom(state)) belonging.push(blockKey(id, stored))
    for (const needed of belonging) {
      if (look(home, needed).kind === 'missing')
        this.#error(inStream(path), `The home lacks the entry ${needed} of the stream.`)
    }
    onStream(stream)
  }

  #error(where: FindingPlace, what: string): void {
    this.#context.report.find({ severity: 'error', where, what, whatToDo: RESTORE })
  }
}

function decodeIdentity(value: Uint8Array): { readonly path: StreamPath; readonly stored: number } {
  const [path, stored] = JSON.parse(textOf(value)) as [StreamPath, number]
  return { path, stored }
}
