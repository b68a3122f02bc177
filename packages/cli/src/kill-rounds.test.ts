import { expect, it } from 'vitest'
import { killRounds } from './kill-rounds.fixture.ts'

/** Moments that look random and are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

it.each(['file-durable', 'file-fast'])(
  'R-337: loses, doubles and tears nothing acknowledged when it is killed under load (%s)',
  async (storage) => {
    const { violations, acknowledged, kills } = await killRounds(10, storage, seeded(1))
    expect(violations).toEqual([])
    expect(kills).toBe(10)
    expect(acknowledged).toBeGreaterThan(500)
  },
  120_000,
)
