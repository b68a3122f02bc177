/** What a reader should get next, from one snapshot of a stream: bytes, a wait, the end, or a rejection. */
import { judgeOffset, lastKnown } from './generation.ts'
import { livenessOf, missing } from './liveness.ts'
import type { ReadStart } from './parse-read.ts'
import type { Rejection } from './rejection.ts'
import type { StreamState } from './stream-state.ts'

/** `data`: serve at most these positions. `at-tail`: nothing past the reader's position yet, or ever if closed. */
export type ReadPlan =
  | { readonly kind: 'data'; readonly state: StreamState; readonly from: number; readonly to: number }
  | { readonly kind: 'at-tail'; readonly state: StreamState }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }

/**
 * Plans one step of a reader on the durable state. Ends of long reads fall on multiples of `chunkBytes`, so that
 * all readers of a stream ask for the same ranges and a shared cache is hit, wherever they started. `generation` is
 * the store's.
 */
export function planRead(
  stream: StreamState | undefined,
  start: ReadStart,
  chunkBytes: number,
  nowMs: number,
  generation: number,
): ReadPlan {
  const liveness = livenessOf(stream, nowMs)
  if (liveness.kind !== 'live') return { kind: 'rejected', rejection: missing(liveness) }
  const { state } = liveness
  if (start.kind === 'now') return { kind: 'at-tail', state }
  const rejection = refuseStart(state, start, generation)
  if (rejection) return { kind: 'rejected', rejection }
  const from = start.kind === 'beginning' ? state.base : start.kind === 'beyond' ? state.tail : start.position
  if (from === state.tail) return { kind: 'at-tail', state }
  return { kind: 'data', state, from, to: Math.min(state.tail, gridEnd(from, chunkBytes)) }
}

function refuseStart(state: StreamState, start: ReadStart, generation: number): Rejection | undefined {
  if (start.kind === 'beginning' || start.kind === 'now') return undefined
  if (start.kind === 'position' && start.position <= state.tail) return undefined
  if (start.kind === 'offset') {
    const judged = judgeOffset(state, start, generation)
    if (judged === 'known') return undefined
    if (judged === 'lost') return { kind: 'offset-lost', resumeAt: lastKnown(state, start) }
  }
  const detail = 'The offset is past the end of the stream: continue from a Stream-Next-Offset you received.'
  return { kind: 'invalid-offset', detail }
}

/** A cut that keeps a character whole moves back by less than this. */
const CUT_BACK_BYTES = 4

/** The next multiple of the chunk size after a position, or the one after it if only a cut-off rest lies between. */
function gridEnd(from: number, chunkBytes: number): number {
  const past = from + CUT_BACK_BYTES
  return past - (past % chunkBytes) + chunkBytes
}
