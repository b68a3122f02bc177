import { describe, expect, it } from 'vitest'
import { BREAKS } from './breaks.ts'
import { withRows } from './journal-bytes.ts'
import { wrapFiles } from './port-wrap.ts'
import { checkSeed, firstCatch, keptSeeds } from './seed-check.ts'
import { runSeed } from './seed-run.ts'
import { JOURNAL_FOLDER } from './store-parts.ts'

/** Choices of a run here; the command line makes longer ones. */
const ACTIONS = 400
const SEEDS_TO_CATCH = 200
const SLICE = Array.from({ length: 60 }, (_, at) => 1001 + at)

const STORMY = { seed: 7, actions: ACTIONS, crashEvery: 60, faults: true, sabotage: {} }

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
              const isRecord = position >= 64
              return file.write(
                position,
                isRecord ? [withRows(Buffer.concat(pieces), (rows) => rows)] : pieces,
              )
            },
          })),
      },
    })
    expect(violation).toBeUndefined()
  })
})

describe('the store as it is', () => {
  it('passes a slice of seeds', { timeout: 60_000 }, async () => {
    expect(await failuresOf(SLICE, ACTIONS)).toEqual([])
  })

  it('passes the seeds that once failed', { timeout: 60_000 }, async () => {
    expect(await failuresOf(await keptSeeds(), 1200)).toEqual([])
  })

  it('has the same history in two runs of a seed, and others with other seeds', async () => {
    const first = await runSeed(STORMY)
    const again = await runSeed(STORMY)
    const other = await runSeed({ ...STORMY, seed: 9 })
    expect(first.crashes).toBeGreaterThan(0)
    expect(again).toEqual(first)
    expect(other.digest).not.toBe(first.digest)
  })
})

async function failuresOf(seeds: readonly number[], actions: number): Promise<readonly string[]> {
  const failures: string[] = []
  for (const seed of seeds) {
    const { violation } = await checkSeed(seed, actions)
    if (violation !== undefined) failures.push(`seed ${seed}: ${violation.message}`)
  }
  return failures
}
