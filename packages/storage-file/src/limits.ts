/** Every bound and size of the file store, in one place. */

/** Sizes that trade memory, start-up time and write amplification; all in bytes unless their name says otherwise. */
export interface StoreLimits {
  /** Size of a journal segment, allocated in full before it is used. */
  readonly segmentBytes: number
  /** Room at the end of the journal that only removals may use while the disk is full. */
  readonly reserveBytes: number
  /** Room that is kept for a checkpoint on a disk that is full. */
  readonly checkpointReserveBytes: number
  /** Payload of a block at most. */
  readonly blockBytes: number
  /** A block file is closed once it is larger. */
  readonly blockFileBytes: number
  /** Payload in memory at which a checkpoint begins. */
  readonly checkpointBytes: number
  /** Records in memory at which a checkpoint begins. */
  readonly checkpointRecords: number
  /** Time after a change at which a checkpoint begins at the latest. */
  readonly checkpointAfterMs: number
  /** Payload in memory at which appends wait for the checkpoint under way. */
  readonly maxTailBytes: number
  /** How long they wait before they are told to try again. */
  readonly roomWaitMs: number
  /** Changes after which a transaction of the home is written; fewer than 1,000 (see `lmdb-home.ts`). */
  readonly transactionChanges: number
  /** Open block files. */
  readonly openBlockFiles: number
  /** Decoded blocks kept in memory. */
  readonly blockCacheBytes: number
  /** A block file is rewritten when less than this share of it is live. */
  readonly liveShare: number
  /** How long written records may stay unsynced with `file-fast`. */
  readonly syncAfterMs: number
  /** How long a snapshot may go unused before it is ended, so that a dead backup cannot fill the disk. */
  readonly snapshotIdleMs: number
}

const KIB = 1024
const MIB = 1024 * KIB

/** The sizes in force unless others are given. */
export const DEFAULT_STORE_LIMITS: StoreLimits = {
  segmentBytes: 32 * MIB,
  reserveBytes: 256 * KIB,
  // The bytes of a checkpoint, and half as much again for the blocks that it merges them with and for the home.
  checkpointReserveBytes: 48 * MIB,
  blockBytes: 64 * KIB,
  blockFileBytes: 128 * MIB,
  checkpointBytes: 32 * MIB,
  checkpointRecords: 50_000,
  checkpointAfterMs: 10_000,
  maxTailBytes: 192 * MIB,
  roomWaitMs: 10_000,
  transactionChanges: 800,
  openBlockFiles: 64,
  blockCacheBytes: 32 * MIB,
  liveShare: 0.5,
  syncAfterMs: 1000,
  snapshotIdleMs: 600_000,
}
