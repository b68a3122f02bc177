import { describe, expect, it } from 'vitest'
import { DiskFull } from './disk.ts'
import type { Home } from './home.ts'
import { describeHome } from './home-contract.fixture.ts'
import { type FlushOutcome, MemoryHome } from './memory-home.ts'
import { seededRandom } from './seeded-random.fixture.ts'

function asMemory(home: Home): MemoryHome {
  if (home instanceof MemoryHome) return home
  throw new TypeError('not a home in memory')
}

async function reopen(home: Home): Promise<Home> {
  await home.close()
  return asMemory(home).crash()
}

describeHome({
  open: async () => new MemoryHome(),
  reopen,
  damage: async (home, key) => {
    const next = asMemory(await reopen(home))
    next.flipBit(key, 37)
    return next
  },
})

const value = Buffer.from('v')
const FAILED = 'Error: the home failed to write'
const CRASHED = 'Error: the home is crashed'
const keysOf = (home: Home): string =>
  home
    .range('\x01', '~', 100)
    .map(([key]) => key)
    .join('')

/** A home whose flushes end when the test says so. */
function slowHome(survives: () => boolean = () => false): {
  readonly home: MemoryHome
  readonly started: number[]
  end(outcome: FlushOutcome): Promise<void>
} {
  const started: number[] = []
  let resolveFlush: (outcome: FlushOutcome) => void = () => undefined
  const home = new MemoryHome({
    flush: (transaction) => {
      started.push(transaction)
      return new Promise((resolve) => {
        resolveFlush = resolve
      })
    },
    survives,
  })
  const end = async (outcome: FlushOutcome): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    resolveFlush(outcome)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { home, started, end }
}

describe('a flush', () => {
  it('comes before the end of the commit, and before anybody sees it; one at a time', async () => {
    const { home, started, end } = slowHome()
    const ended: string[] = []
    void home.commit([['a', value]]).then(() => ended.push('a'))
    void home.commit([['b', value]]).then(() => ended.push('b'))
    await Promise.resolve()
    expect([started, ended, keysOf(home)]).toEqual([[1], [], ''])
    await end('flushed')
    expect([started, ended, keysOf(home)]).toEqual([[1, 2], ['a'], 'a'])
    await end('flushed')
    expect([started, ended, keysOf(home)]).toEqual([[1, 2], ['a', 'b'], 'ab'])
  })

  it('that finds no room changes nothing, and the next one may find some', async () => {
    const { home, end } = slowHome(() => true)
    const commit = home.commit([['a', value]])
    const next = home.commit([['b', value]])
    await Promise.all([end('full'), expect(commit).rejects.toThrow(DiskFull)])
    await end('flushed')
    await next
    expect(keysOf(home)).toBe('b')
    expect(keysOf(home.crash())).toBe('b')
  })

  it('that fails ends all writing; reading goes on, and a crash shows what is there', async () => {
    for (const survives of [true, false]) {
      const { home, end } = slowHome(() => survives)
      const first = home.commit([['a', value]])
      await Promise.all([first, end('flushed')])
      const failed = home.commit([['b', value]])
      const next = home.commit([['c', value]])
      const [failure, nextFailure] = [failed, next].map((one) => one.catch(String))
      await end('failed')
      expect([await failure, await nextFailure]).toEqual([FAILED, FAILED])
      await expect(home.commit([['d', value]])).rejects.toThrow('failed to write')
      expect(keysOf(home)).toBe('a')
      expect(keysOf(home.crash())).toBe(survives ? 'ab' : 'a')
    }
  })
})

describe('a crash', () => {
  it('loses the transaction that was being flushed, or keeps it whole, and those behind it', async () => {
    for (const survives of [true, false]) {
      const { home, end } = slowHome(() => survives)
      await Promise.all([home.commit([['a', value]]), end('flushed')])
      const during = home.commit([
        ['b', value],
        ['c', value],
        ['a', undefined],
      ])
      const behind = home.commit([['d', value]])
      await Promise.resolve()
      const ends = Promise.all([during, behind].map((one) => one.catch(String)))
      const next = home.crash()
      expect(await ends).toEqual([CRASHED, CRASHED])
      expect(keysOf(next)).toBe(survives ? 'bc' : 'a')
      expect(() => home.get('a')).toThrow('crashed')
      await expect(home.commit([['e', value]])).rejects.toThrow('crashed')
    }
  })

  it('keeps the options: the next home may crash again, by the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const random = seededRandom(seed)
      let home = new MemoryHome({
        flush: () => (random() < 0.2 ? 'failed' : 'flushed'),
        survives: () => random() < 0.5,
      })
      for (const key of 'abcdefghijklmnop') {
        await home.commit([[key, value]]).catch(() => {
          home = home.crash()
        })
      }
      return keysOf(home)
    }
    const first = await Promise.all([1, 2, 3, 4, 5].map(run))
    expect(await Promise.all([1, 2, 3, 4, 5].map(run))).toEqual(first)
    expect(new Set(first).size).toBeGreaterThan(2)
  })
})
