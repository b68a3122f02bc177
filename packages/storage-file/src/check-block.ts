/** Checks one block in its place. */
import type { StreamId } from '@millrace/protocol'
import { type Block, BlockDamaged } from './block-codec.ts'
import type { BlockFiles } from './block-files.ts'
import { type CheckReport, type FindingPlace, RESTORE } from './finding.ts'
import type { BlockPlace } from './state-codec.ts'

/** Reads a block that the home names; what is wrong with it is said about `where`. False if something is. */
export async function checkBlock(
  blocks: BlockFiles,
  id: StreamId,
  place: BlockPlace,
  where: FindingPlace,
  report: CheckReport,
): Promise<boolean> {
  report.count('blocks')
  report.count('blockBytes', place.to - place.from)
  const wrong = await wrongWith(blocks, id, place)
  if (wrong !== undefined) report.find({ severity: 'error', where, what: wrong, whatToDo: RESTORE })
  await report.progress(place.sizeBytes)
  return wrong === undefined
}

async function wrongWith(blocks: BlockFiles, id: StreamId, place: BlockPlace): Promise<string | undefined> {
  try {
    return wrongUnits(await blocks.read(id, place))
  } catch (error) {
    if (error instanceof BlockDamaged) return error.message
    const reason = error instanceof Error ? error.message : String(error)
    return `The disk cannot read the block: ${reason}`
  }
}

/** Units follow each other and hold all bytes of the block. */
function wrongUnits({ from, to, units }: Block): string | undefined {
  let at = units[0]?.from ?? from
  let atMs = 0
  const starts = at <= from
  for (const unit of units) {
    if (unit.from !== at || unit.atMs < atMs) return 'The append units of the block are out of order.'
    at = unit.to
    atMs = unit.atMs
  }
  return starts && at >= to ? undefined : 'The append units of the block do not hold all of its bytes.'
}
