import { describe, expect, it } from 'vitest'
import { BREAKS } from './breaks.ts'
import { areRecords, withRows } from './journal-bytes.ts'
import { wrapFiles } from './port-wrap.ts'
import { checkSeed, crashAtEach, firstCatch, keptSeeds } from './seed-check.ts'
import { type RunOptions, runSeed } from './seed-run.ts'
import { JOURNAL_FOLDER } from './store-parts.ts'
import { type Counts, neverAmong, sumOf } from './tally.ts'

/** Choices of a run here; the command line makes longer ones. */
const ACTIONS = 400
const SEEDS_TO_CATCH = 200
const SLICE = Array.from({ length: 45 }, (_, at) => 1001 + at)

const FREQUENT =
  /\(serving\)\/(blocks|home)|^crashes\/|^events\/|^readers\/(?!ended: lifetime|rejected: offset-lost)/

const STORMY: RunOptions = {
  seed: 7,
  actions: ACTIONS,
  crashes: { kind: 'often', everySteps: 60 },
  faults: true,
  lies: false,
  sabotage: {},
}

describe('a broken store', () => {
  it.each(BREAKS)('is noticed: $what', { timeout: 60_000 }, async (broken) => {
    const caught = await firstCatch(broken, SEEDS_TO_CATCH, ACTIONS)
    expect(caught?.message).toMatch(broken.sign)
  })

  it('is broken by what the wrappers change, not by the wrappers', async () => {
    const { violation } = await runSeed({
      ...STORMY,
      sabotage: {
        disk: (disk) =>
          wrapFiles(disk, JOURNAL_FOLDER, (file) => ({
            write: (position, pieces) => {
              const isRecord = areRecords(position, pieces)
              const written = isRecord ? [withRows(Buffer.concat(pieces), (rows) => rows)] : pieces
              return file.write(position, written)
            },
          })),
      },
    })
    expect(violation).toBeUndefined()
  })
})

describe('the store as it is', () => {
  it('passes a slice of seeds', { timeout: 60_000 }, async () => {
    const { failures, counts } = await resultOf(SLICE, ACTIONS)
    expect(failures).toEqual([])
    // In so few seeds the rarest effects need not be cut short.
    const missing = neverAmong(counts).filter((kind) => FREQUENT.test(kind))
    expect(missing).toEqual([])
  })

  it('passes the seeds that once failed', { timeout: 60_000 }, async () => {
    expect((await resultOf(await keptSeeds(), 1200)).failures).toEqual([])
  })

  it('passes a crash before each effect of a history', { timeout: 120_000 }, async () => {
    const { runs, failed } = await crashAtEach(3, 40, false)
    expect(failed.map(({ atStep, result }) => `step ${atStep}: ${result.violation?.message}`)).toEqual([])
    expect(runs.length).toBeGreaterThan(40)
    expect(new Set(runs.map(({ crashes }) => crashes))).toEqual(new Set([1]))
  })

  it.each([1, 7, 8, 12])('has the same history in two runs of seed %i', { timeout: 60_000 }, async (seed) => {
    for (const lies of [false, true]) {
      const first = await runSeed({ ...STORMY, seed, lies })
      const again = await runSeed({ ...STORMY, seed, lies })
      expect(first.crashes).toBeGreaterThan(0)
      expect(again).toEqual(first)
    }
  })

  it('has other histories with other seeds', async () => {
    const one = await runSeed(STORMY)
    const other = await runSeed({ ...STORMY, seed: 9 })
    expect(other.digest).not.toBe(one.digest)
  })
})

async function resultOf(
  seeds: readonly number[],
  actions: number,
): Promise<{ failures: readonly string[]; counts: Counts }> {
  let counts: Counts = {}
  const failures: string[] = []
  for (const seed of seeds) {
    const { violation, counts: found } = await checkSeed(seed, actions)
    counts = sumOf([counts, found])
    if (violation !== undefined) failures.push(`seed ${seed}: ${violation.message}`)
  }
  return { failures, counts }
}
