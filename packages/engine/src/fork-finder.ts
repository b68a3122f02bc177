/** Finds where a fork may leave its source. Bytes below a durable tail never change, so this needs no lock. */
import {
  endOfMessage,
  type ForkPoint,
  type ForkRequest,
  joined,
  judgeOffset,
  lastKnown,
  ownerOf,
  type Rejection,
  type StreamState,
} from '@millrace/protocol'
import { readRange } from './slice-reader.ts'
import type { StreamStorage } from './storage.ts'

const LF = 0x0a

/** Checks fork offset and sub-offset against the source's bytes (13.2, 13.4). */
export async function findForkPoint(
  storage: StreamStorage,
  source: StreamState,
  request: ForkRequest,
): Promise<ForkPoint> {
  const { subOffset, forkAt } = request
  const rejected = (rejection: Rejection): ForkPoint => ({
    kind: 'refused',
    sourceId: source.id,
    rejection,
  })
  const refused = (detail: string): ForkPoint => rejected({ kind: 'bad-request', detail })
  const judged = forkAt && judgeOffset(source, forkAt, storage.generation)
  if (forkAt && judged === 'lost') {
    return rejected({ kind: 'offset-lost', resumeAt: lastKnown(source, forkAt) })
  }
  if (judged === 'never') return refused('Stream-Fork-Offset is past the end of the source.')
  const forkPosition = forkAt?.position ?? source.tail
  if (source.format === 'json' && !(await isMessageBoundary(storage, source, forkPosition))) {
    return refused('Stream-Fork-Offset points into a message: use an offset that this server returned.')
  }
  if (subOffset === 0) return { kind: 'found', sourceId: source.id, forkPosition, ownFrom: forkPosition }
  const ownFrom = await resolveSubOffset(storage, source, forkPosition, subOffset)
  if (ownFrom === undefined) {
    return refused('Stream-Fork-Sub-Offset reaches past the append that starts at Stream-Fork-Offset.')
  }
  return { kind: 'found', sourceId: source.id, forkPosition, ownFrom }
}

async function isMessageBoundary(
  storage: StreamStorage,
  source: StreamState,
  position: number,
): Promise<boolean> {
  if (position === 0 || position === source.tail) return true
  const [before] = await readRange(storage, source, position - 1, position)
  return before?.[0] === LF
}

/** The position `subOffset` bytes or messages into the append unit at the anchor; `undefined` if it is shorter. */
async function resolveSubOffset(
  storage: StreamStorage,
  source: StreamState,
  anchor: number,
  subOffset: number,
): Promise<number | undefined> {
  const owner = ownerOf(source, anchor)
  if (owner === undefined) return undefined
  const unit = await storage.unitAt(owner.id, anchor)
  // An inherited unit ends where its heir left: a materialised prefix is a unit of its own (13.4, 6).
  const end = Math.min(unit.to, owner.to)
  if (source.format !== 'json') return subOffset <= end - anchor ? anchor + subOffset : undefined
  const messages = joined(await storage.read({ id: owner.id, from: anchor, to: end }))
  const length = endOfMessage(messages, subOffset)
  return length === undefined ? undefined : anchor + length
}
