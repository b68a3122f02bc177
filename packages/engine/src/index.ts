export type { Clock, Entropy, Timer } from './clock.ts'
export { DueQueue } from './due-queue.ts'
export {
  Engine,
  type EngineOptions,
  type EngineStatistics,
  type FollowResult,
  type HeadResult,
  type ReadResult,
} from './engine.ts'
export type { Eventual } from './eventual.ts'
export { Fault, type FaultCode } from './fault.ts'
export type { Follower, FollowOptions, FollowSink } from './follower.ts'
export { DEFAULT_ENGINE_LIMITS, type EngineLimits } from './limits.ts'
export type { LongPollResult, WaitOptions } from './long-poll.ts'
export { type MemoryStorageOptions, memoryStorage, summaryOf } from './memory-storage.ts'
export { MemoryStream } from './memory-stream.ts'
export { changeOf, countUsage, isLimited, NO_USAGE, plus } from './quota.ts'
export type {
  AppendUnit,
  Commit,
  CommitResult,
  DueEntry,
  StateChange,
  StorageTraits,
  StreamStorage,
  StreamSummary,
  Touch,
  Usage,
  VersionedState,
} from './storage.ts'
