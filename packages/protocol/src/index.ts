export { bytesToMessageEnd, incompleteBytes } from './chunk-end.ts'
export type { AppendCommand, Command, CreateCommand, ForkRequest, Payload, RemoveCommand } from './command.ts'
export { type CursorClock, DEFAULT_CURSOR_CLOCK, nextCursor } from './cursor.ts'
export { decideAppend } from './decide-append.ts'
export { decideCreate, type ForkPoint } from './decide-create.ts'
export { decideRemove } from './decide-remove.ts'
export type { Change, Decision, Rules, View } from './decision.ts'
export { deadlineMs, type Expiry, isSameExpiry, NEVER } from './expiry.ts'
export {
  type Cut,
  type Cuts,
  generationAt,
  judgeOffset,
  lastKnown,
  offsetAt,
  type Positioned,
} from './generation.ts'
export { isTrue } from './header-grammar.ts'
export { encodeJsonMessages, endOfMessage, type JsonMessages } from './json-messages.ts'
export { PROTOCOL_LIMITS } from './limits.ts'
export { clip, lineage, type OwnRange, ownerOf, ownRanges } from './lineage.ts'
export { isExpired, type Liveness, livenessOf, missing } from './liveness.ts'
export { DEFAULT_CONTENT_TYPE, parseMediaType, type StreamFormat, streamFormat } from './media-type.ts'
export {
  formatOffset,
  type Offset,
  type OffsetParts,
  type ParsedOffset,
  parseOffset,
  ZERO_OFFSET,
} from './offset.ts'
export type { Outcome, ProducerReport } from './outcome.ts'
export { type ParsedAppend, parseAppend } from './parse-append.ts'
export { type CreateContext, type ParsedCreate, parseCreate, parseForkSource } from './parse-create.ts'
export { type ParsedRead, parseRead, type ReadMode, type ReadRequest, type ReadStart } from './parse-read.ts'
export { planRead, type ReadPlan } from './plan-read.ts'
export { type Problem, toProblem } from './problem.ts'
export { type ProducerEntry, type ProducerStamp, ProducerTable } from './producer-table.ts'
export { parseQuery, type Query } from './query.ts'
export { withoutEnd } from './read-body.ts'
export { badRequest, type Rejection } from './rejection.ts'
export {
  type ReadAnswer,
  respondToHead,
  respondToRead,
  respondToWrite,
  respondWithProblem,
  sseHeaders,
} from './respond.ts'
export { isAtEnd, isUpToDate, type Slice, tailSlice } from './slice.ts'
export { encodeControlEvent, encodeDataEvent, joined, SSE_HEARTBEAT } from './sse-encode.ts'
export { CONTROL_SEGMENT, type ParsedPath, parseStreamPath, type StreamPath } from './stream-path.ts'
export {
  type AppendedEvent,
  type AppendedUnit,
  dueAtMs,
  evolve,
  type ForkOrigin,
  ownBytes,
  ownFrom,
  type StreamConfig,
  type StreamEvent,
  type StreamId,
  type StreamState,
  streamId,
} from './stream-state.ts'
export {
  type BodyReceived,
  type HeaderList,
  type HeaderLookup,
  isLiveBody,
  type LiveBody,
  type LiveReader,
  type LiveSink,
  type ReceivingRoom,
  type WireBody,
  type WireRequest,
  type WireResponse,
} from './wire.ts'
