/** Every bound of the engine, in one place. */
import { PROTOCOL_LIMITS } from '@millrace/protocol'

/** Bounds on what clients can make large or many; each is reached with a clear answer, never with a crash. */
export interface EngineLimits {
  /** Live readers of one stream, long-polls and SSE together. */
  readonly maxReadersPerStream: number
  /** Live readers in all. */
  readonly maxReaders: number
  /** Bytes of its own that a stream may hold; what a fork inherits is its source's. */
  readonly maxStreamBytes: number
  /** Streams that exist, those that were deleted and are kept for their forks left out. */
  readonly maxStreams: number
  /** Bytes of their own that these streams may hold together. */
  readonly maxTotalBytes: number
  /** Producers remembered per stream. */
  readonly maxProducersPerStream: number
  /** Commits decided but not yet durable. */
  readonly maxPendingCommits: number
  /** Payload bytes of these commits. */
  readonly maxPendingBytes: number
  /** Streams kept loaded although nobody uses them at the moment. */
  readonly maxIdleStreams: number
  /** How often a command is judged again because another writer was faster or the outcome is unknown. */
  readonly maxAttempts: number
  /** Bytes of one read; its end falls on a multiple of this, at a message boundary. */
  readonly chunkBytes: number
  /** The same for one step of a follower: what each of them may hold that takes nothing. */
  readonly followChunkBytes: number
  /** Largest slice that readers at the same place share in memory. */
  readonly maxSharedSliceBytes: number
  /** Readers woken in one turn, so that a large audience does not hold up everybody else. */
  readonly wakesPerTurn: number
  /** Expired streams removed in one sweep. */
  readonly sweepBatch: number
}

/** The bounds in force unless others are given. */
export const DEFAULT_ENGINE_LIMITS: EngineLimits = {
  maxReadersPerStream: 50_000,
  maxReaders: 200_000,
  maxStreamBytes: Number.POSITIVE_INFINITY,
  maxStreams: Number.POSITIVE_INFINITY,
  maxTotalBytes: Number.POSITIVE_INFINITY,
  maxProducersPerStream: PROTOCOL_LIMITS.maxProducers,
  maxPendingCommits: 20_000,
  maxPendingBytes: 256 * 1024 * 1024,
  maxIdleStreams: 10_000,
  maxAttempts: 16,
  chunkBytes: 4 * 1024 * 1024,
  followChunkBytes: 64 * 1024,
  maxSharedSliceBytes: 256 * 1024,
  wakesPerTurn: 256,
  sweepBatch: 256,
}
