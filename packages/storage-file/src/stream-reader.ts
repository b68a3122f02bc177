/** Reads a stream's own bytes from wherever they are: blocks, the layer being checkpointed, the newest layer. */
import { type AppendUnit, type Eventual, Fault, type MemoryStream } from '@millrace/engine'
import type { OwnRange, StreamId } from '@millrace/protocol'
import { type Block, BlockDamaged } from './block-codec.ts'
import type { BlockFiles } from './block-files.ts'
import { findBlock } from './checkpoint.ts'
import { type Home, HomeCorrupt } from './home.ts'
import { blockKey, blocksEnd, identityKey, parseBlockKey } from './home-keys.ts'
import type { Layer } from './layer.ts'
import { type BlockPlace, decodePlace } from './state-codec.ts'

/** What there is to read from. */
export interface ReadSources {
  readonly home: Home
  readonly blocks: BlockFiles
  /** Newest first. */
  layers(): readonly Layer[]
}

/** The bytes of a range, in pieces that never change; or a fault. */
export function readOwn(sources: ReadSources, range: OwnRange): Eventual<readonly Uint8Array[]> {
  const newest = sources.layers()[0]?.bytes.get(range.id)
  if (newest !== undefined && newest.from <= range.from) return newest.read(range)
  return readAcross(sources, range)
}

/** The append unit around a position. */
export async function unitAround(sources: ReadSources, id: StreamId, position: number): Promise<AppendUnit> {
  const kept = inLayers(sources, id).find((bytes) => bytes.from <= position && position < bytes.tail)
  if (kept !== undefined) return kept.unitAt(position)
  const block = await blockAt(sources, id, position, placeAt(sources.home, id, position))
  const unit = block.units.find(({ from, to }) => from <= position && position < to)
  if (unit === undefined)
    throw new Fault('corrupt', `No append unit of stream ${id} holds position ${position}.`)
  return unit
}

/** Oldest first, so that each part is looked for where it has been longest. */
function inLayers(sources: ReadSources, id: StreamId): readonly MemoryStream[] {
  return sources.layers().flatMap((layer) => layer.bytes.get(id) ?? [])
}

async function readAcross(sources: ReadSources, range: OwnRange): Promise<readonly Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for (let at = range.from; at < range.to; ) {
    const kept = inLayers(sources, range.id).find((bytes) => bytes.from <= at && at < bytes.tail)
    if (kept !== undefined) {
      const to = Math.min(range.to, kept.tail)
      pieces.push(...kept.read({ id: range.id, from: at, to }))
      at = to
      continue
    }
    for (const block of await blocksFrom(sources, { ...range, from: at })) {
      const to = Math.min(range.to, block.to)
      // Blocks may have been merged since they were looked up; what is missing is looked for again.
      if (at < block.from || at >= to) break
      pieces.push(block.payload.subarray(at - block.from, to - block.from))
      at = to
    }
  }
  return pieces
}

/** Blocks that are read at the same time. */
const READ_AHEAD = 8

/** The next blocks of a range, in order; the first holds its first byte. */
async function blocksFrom(sources: ReadSources, range: OwnRange): Promise<readonly Block[]> {
  const { id, from, to } = range
  const [first, ...later] = placesFrom(sources.home, range)
  const following = later.flatMap((place) => (place !== undefined && place.from < to ? [place] : []))
  const reads = [
    blockAt(sources, id, from, first),
    ...following.map((place) => blockAt(sources, id, place.from, place)),
  ]
  // In order: of several that are damaged, the first is told of.
  for (const read of reads) read.catch(() => undefined)
  const blocks: Block[] = []
  for (const read of reads) blocks.push(await read)
  return blocks
}

function placesFrom(home: Home, { id, from }: OwnRange): readonly (BlockPlace | undefined)[] {
  try {
    const entries = home.range(blockKey(id, from + 1), blocksEnd(id), READ_AHEAD)
    return entries.map(([, value]) => decodePlace(value))
  } catch (error) {
    if (!(error instanceof HomeCorrupt)) throw error
    // A damaged entry further on is none of this block's business.
    return [placeAt(home, id, from)]
  }
}

/** How often a block is looked up again because its file was rewritten in between. */
const LOOKUPS = 3

/** `known` is what the home says about the position at this moment. */
async function blockAt(
  sources: ReadSources,
  id: StreamId,
  position: number,
  known: BlockPlace | undefined,
): Promise<Block> {
  let place = known
  for (let lookup = 1; ; lookup++) {
    if (place === undefined || position < place.from) throw missingBlock(sources, id, position, place?.from)
    try {
      return await sources.blocks.read(id, place)
    } catch (error) {
      const now = placeAt(sources.home, id, position)
      const hasMoved = now === undefined || now.file !== place.file || now.at !== place.at
      if (hasMoved && lookup < LOOKUPS) {
        place = now
        continue
      }
      throw error instanceof BlockDamaged ? new Fault('corrupt', error.message, error, place) : error
    }
  }
}

/** Where the home has the block of a position; a fault if the home is damaged there. */
function placeAt(home: Home, id: StreamId, position: number): BlockPlace | undefined {
  try {
    return findBlock(home, id, position)
  } catch (error) {
    if (!(error instanceof HomeCorrupt)) throw error
    const to = Math.max(position + 1, parseBlockKey(error.key)?.to ?? 0)
    const what = `Bytes ${position} to ${to} of the stream cannot be found: their entry in the home is damaged.`
    throw new Fault('corrupt', what, error, { from: position, to })
  }
}

/** A stream that is known but lacks a block is damaged; one that is unknown was removed. */
function missingBlock(sources: ReadSources, id: StreamId, position: number, next = position + 1): Fault {
  const isPurged = sources.layers().some((layer) => layer.purged.has(id))
  if (isPurged || sources.home.get(identityKey(id)) === undefined) {
    return new Fault('removed', 'The stream was removed while it was being read.')
  }
  const what = `Bytes ${position} to ${next} of the stream are missing: the home names no block that holds them.`
  return new Fault('corrupt', what, undefined, { from: position, to: next })
}
