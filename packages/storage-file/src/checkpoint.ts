/**
 * A checkpoint moves a layer into blocks and home. Order of effects, each step durable before the next: the journal
 * records of the layer; blocks and their files; the home, transaction by transaction, the applied sequence in the
 * last one. Then, and only then, journal segments and dead block files may go.
 *
 * The home need not be changed in one transaction: each holds a stream's state together with its blocks, and replay
 * skips a change whose stream in the home is already past it. So a crash between two of them is harmless.
 */
import { type AppendUnit, changeOf, type MemoryStream, NO_USAGE, type Usage } from '@millrace/engine'
import { dueAtMs, ownFrom, type StreamId, type StreamPath } from '@millrace/protocol'
import type { Block } from './block-codec.ts'
import { cutIntoBlocks, isWorthMerging, type Run } from './block-cutter.ts'
import type { BlockFiles } from './block-files.ts'
import { type BlockSpan, spansOf } from './block-spans.ts'
import { FileUses } from './file-uses.ts'
import type { Home, HomeChange } from './home.ts'
import {
  APPLIED_KEY,
  blockKey,
  blocksEnd,
  dueKey,
  identityKey,
  keyAfter,
  streamKey,
  USAGE_KEY,
} from './home-keys.ts'
import type { Journal } from './journal.ts'
import type { HomeFacts, Layer, LayerEntry } from './layer.ts'
import type { StoreLimits } from './limits.ts'
import { segmentMark } from './run-marks.ts'
import {
  type BlockPlace,
  decodePlace,
  decodeStream,
  encodePlace,
  encodeStream,
  encodeUsage,
} from './state-codec.ts'
import { factsOf } from './stored-entries.ts'
import { usageIn } from './stored-usage.ts'

/** What a checkpoint works on. */
export interface CheckpointContext {
  readonly home: Home
  readonly blocks: BlockFiles
  readonly journal: Pick<Journal, 'segment'>
  readonly limits: StoreLimits
  /** Lets other work of the process go on. */
  yieldTurn(): Promise<void>
}

/** Streams whose last blocks are looked for at the same time: of so many, some are near each other. */
const STREAMS_PER_GROUP = 1000
/** Streams handled between two yields. */
const STREAMS_PER_TURN = 25
/** Blocks of one stream written between two yields. */
const BLOCKS_PER_TURN = 8
/** Units of one stream looked at between two yields. */
const UNITS_PER_TURN = 5000

/** Writes a layer down; resolves when all of it is in blocks and home for good. */
export async function writeLayer(context: CheckpointContext, layer: Layer): Promise<void> {
  const writer = new LayerWriter(context, layer)
  const entries = layer.entries.entries()
  for (;;) {
    const group: FoundStream[] = []
    for (const [path, entry] of take(entries, STREAMS_PER_GROUP)) {
      group.push(writer.lookUp(path, entry))
      if (group.length % STREAMS_PER_TURN === 0) await context.yieldTurn()
    }
    await writeGroup(writer, context, group)
    if (group.length < STREAMS_PER_GROUP) break
  }
  await writer.finish(layer.sequence)
}

/** Those with a block to merge follow each other as these blocks do on the disk; the next span is read meanwhile. */
async function writeGroup(
  writer: LayerWriter,
  context: CheckpointContext,
  group: readonly FoundStream[],
): Promise<void> {
  let count = 0
  const write = async (stream: FoundStream, last: LastBlock | undefined): Promise<void> => {
    await writer.write(stream, last)
    if (++count % STREAMS_PER_TURN === 0) await context.yieldTurn()
  }
  const merging: MergingStream[] = []
  for (const stream of group) {
    const { last } = stream
    if (last === undefined) await write(stream, undefined)
    else merging.push({ ...last, stream })
  }
  const spans = spansOf(merging, ({ place }) => place)
  let reading = loadSpan(context, spans[0])
  for (const [at, { wanted }] of spans.entries()) {
    const blocks = await reading
    reading = loadSpan(context, spans[at + 1])
    for (const [order, { stream, place }] of wanted.entries()) {
      const block = blocks[order]
      // One that cannot be read stays where it is, for its readers to hear of it; new bytes do not depend on it.
      await write(stream, block && { place, block })
    }
  }
}

async function loadSpan(
  { blocks }: CheckpointContext,
  span: BlockSpan<MergingStream> | undefined,
): Promise<readonly (Block | undefined)[]> {
  return span === undefined ? [] : blocks.loadSpan(span)
}

function* take<T>(items: IterableIterator<T>, count: number): IterableIterator<T> {
  for (let taken = 0; taken < count; taken++) {
    const { value, done } = items.next()
    if (done) return
    yield value
  }
}

/** The block that holds or begins at a position, as the home knows it; throws if the home names none. */
export function findBlock(home: Home, id: StreamId, position: number): BlockPlace | undefined {
  const [entry] = home.range(blockKey(id, position + 1), blocksEnd(id), 1)
  return entry && decodePlace(entry[1])
}

/** What blocks and home hold of a stream, before its part of a layer is written. */
interface FoundStream {
  readonly path: StreamPath
  readonly entry: LayerEntry
  readonly old: HomeFacts | undefined
  /** Its last block, if it is to be merged with the new bytes. */
  readonly last: { readonly id: StreamId; readonly place: BlockPlace } | undefined
}

interface MergingStream {
  readonly stream: FoundStream
  readonly id: StreamId
  readonly place: BlockPlace
}

interface LastBlock {
  readonly place: BlockPlace
  readonly block: Block
}

class LayerWriter {
  readonly #context: CheckpointContext
  readonly #layer: Layer
  readonly #uses: FileUses
  /** The home has not changed since the layer's entries were found there. */
  readonly #isFirstTry: boolean
  #changes: HomeChange[] = []
  /** Of the home once the changes are in it; what was never counted stays so. */
  #usage: Usage | undefined
  /** The transaction under way: the next one gathers meanwhile. */
  #committing: Promise<void> = Promise.resolve()

  constructor(context: CheckpointContext, layer: Layer) {
    this.#context = context
    this.#layer = layer
    this.#uses = new FileUses(context.home)
    this.#usage = usageIn(context.home)
    this.#isFirstTry = !layer.isTried
    layer.isTried = true
  }

  /** Only this stream's own changes alter the answer, so it may be asked before other streams are written. */
  lookUp(path: StreamPath, entry: LayerEntry): FoundStream {
    const old = this.#factsOf(path, entry)
    const id = entry.state?.id
    const fresh = id && this.#layer.bytes.get(id)
    const isGrown = fresh !== undefined && old?.stored === fresh.from && old.id === id
    const place = isGrown ? this.#lastToMerge(old.id, fresh.from, fresh.tail) : undefined
    return { path, entry, old, last: place && old && { id: old.id, place } }
  }

  async write({ path, entry, old }: FoundStream, last: LastBlock | undefined): Promise<void> {
    const { state, version } = entry
    this.#count(old?.usage ?? NO_USAGE, changeOf(undefined, state))
    if (old !== undefined && old.id !== state?.id) await this.#forget(old.id)
    if (old?.dueAtMs !== undefined) this.#changes.push([dueKey(old.dueAtMs, path), undefined])
    if (state === undefined) {
      this.#changes.push([streamKey(path), undefined])
    } else {
      const known = old?.id === state.id ? old : undefined
      const stored = await this.#store(state.id, known?.stored ?? ownFrom(state), last)
      this.#changes.push([streamKey(path), encodeStream(state, version, stored)])
      this.#changes.push([identityKey(state.id), Buffer.from(JSON.stringify([path, stored]))])
      const due = dueAtMs(state)
      if (due !== undefined) this.#changes.push([dueKey(due, path), new Uint8Array(0)])
    }
    if (this.#changes.length >= this.#context.limits.transactionChanges) await this.#commit()
  }

  /** The last transaction says that everything before it is there. */
  async finish(sequence: number): Promise<void> {
    this.#changes.push(
      [APPLIED_KEY, Buffer.from(String(sequence))],
      segmentMark(this.#context.journal.segment),
    )
    await this.#commit()
    await this.#committing
  }

  /**
   * Blocks first: the home never names one that a power cut could take back. One transaction at a time: after one that
   * failed nothing more is synced, so what nothing names is at the end of a block file.
   */
  async #commit(): Promise<void> {
    const { home, blocks } = this.#context
    await this.#committing
    await blocks.sync()
    this.#changes.push(...this.#uses.changes())
    if (this.#usage !== undefined) this.#changes.push([USAGE_KEY, encodeUsage(this.#usage)])
    const changes = this.#changes
    this.#changes = []
    this.#committing = home.commit(changes)
    // Whoever commits next sees the failure; until then it is nobody's.
    this.#committing.catch(() => undefined)
  }

  /** A purged incarnation: its blocks are dead space from now on. */
  async #forget(id: StreamId): Promise<void> {
    this.#changes.push([identityKey(id), undefined])
    let from = blockKey(id, 0)
    for (;;) {
      const entries = this.#context.home.range(from, blocksEnd(id), STREAMS_PER_TURN)
      for (const [key, value] of entries) this.#drop(key, decodePlace(value))
      const last = entries.at(-1)
      if (last === undefined || entries.length < STREAMS_PER_TURN) return
      from = keyAfter(last[0])
      await this.#context.yieldTurn()
    }
  }

  #drop(key: string, place: BlockPlace): void {
    this.#changes.push([key, undefined])
    this.#uses.add(place.file, 0, -place.sizeBytes)
  }

  /** Writes the new bytes of a stream; returns how far its blocks reach then. */
  async #store(id: StreamId, stored: number, last: LastBlock | undefined): Promise<number> {
    const bytes = this.#layer.bytes.get(id)
    if (bytes === undefined || bytes.tail <= stored) return stored
    if (bytes.from !== stored)
      throw new Error(`stream ${id} has blocks to ${stored}, but its layer starts at ${bytes.from}`)
    const fresh: Run = {
      id,
      from: bytes.from,
      to: bytes.tail,
      units: await this.#unitsOf(bytes),
      pieces: (from, to) => bytes.read({ id, from, to }),
    }
    if (last !== undefined) this.#drop(blockKey(id, last.place.to), last.place)
    const run = last === undefined ? fresh : joinRun(last.block, fresh)
    let count = 0
    for (const block of cutIntoBlocks(run, this.#context.limits.blockBytes)) {
      const place = await this.#context.blocks.add(block)
      this.#changes.push([blockKey(id, place.to), encodePlace(place)])
      this.#uses.add(place.file, place.sizeBytes, place.sizeBytes)
      if (++count % BLOCKS_PER_TURN === 0) await this.#context.yieldTurn()
    }
    return run.to
  }

  async #unitsOf(bytes: MemoryStream): Promise<readonly AppendUnit[]> {
    const units: AppendUnit[] = []
    for (const unit of bytes.units()) {
      if (units.push(unit) % UNITS_PER_TURN === 0) await this.#context.yieldTurn()
    }
    return units
  }

  #factsOf(path: StreamPath, { home }: LayerEntry): HomeFacts | undefined {
    if (home !== undefined && this.#isFirstTry) return home === 'nothing' ? undefined : home
    const value = this.#context.home.get(streamKey(path))
    return value && factsOf(decodeStream(value))
  }

  #count(was: Usage, is: Usage): void {
    this.#usage &&= {
      streams: this.#usage.streams + is.streams - was.streams,
      bytes: this.#usage.bytes + is.bytes - was.bytes,
    }
  }

  #lastToMerge(id: StreamId, from: number, to: number): BlockPlace | undefined {
    const { home, limits } = this.#context
    const value = home.get(blockKey(id, from))
    const place = value && decodePlace(value)
    const isWorth = place && isWorthMerging(place.to - place.from, to - from, limits.blockBytes)
    return isWorth ? place : undefined
  }
}

/** A block and what follows it; a unit that reaches over the border is one again. */
function joinRun(last: Block, fresh: Run): Run {
  const [firstFresh] = fresh.units
  const lastUnit = last.units.at(-1)
  const overlaps = firstFresh !== undefined && lastUnit !== undefined && lastUnit.from === firstFresh.from
  return {
    id: fresh.id,
    from: last.from,
    to: fresh.to,
    units: [...(overlaps ? last.units.slice(0, -1) : last.units), ...fresh.units],
    pieces(from, to) {
      if (from >= fresh.from) return fresh.pieces(from, to)
      const head = last.payload.subarray(from - last.from, Math.min(to, last.to) - last.from)
      return to <= last.to ? [head] : [head, ...fresh.pieces(last.to, to)]
    },
  }
}
