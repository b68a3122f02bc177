/** Limits of the store for a run: so small that everything that happens rarely happens often. */
import type { SeededRandom } from './seeded-random.ts'
import type { StoreLimits } from './store-parts.ts'

/** Draws them. */
export function tinyLimits(random: SeededRandom): StoreLimits {
  return {
    segmentBytes: random.pick([8192, 12_288, 20_480]),
    reserveBytes: random.pick([512, 1024]),
    checkpointReserveBytes: 5000,
    blockBytes: random.pick([256, 700, 2048]),
    blockFileBytes: random.pick([1500, 4000]),
    checkpointBytes: random.pick([800, 3000]),
    checkpointRecords: random.pick([5, 20]),
    checkpointAfterMs: random.pick([50, 400]),
    maxTailBytes: random.pick([12_000, 40_000]),
    roomWaitMs: 300,
    transactionChanges: random.pick([1, 4, 20]),
    openBlockFiles: random.pick([1, 3]),
    blockCacheBytes: random.pick([0, 3000]),
    liveShare: random.pick([0.5, 0.9]),
    syncAfterMs: random.pick([20, 100]),
    snapshotIdleMs: 600_000,
  }
}
