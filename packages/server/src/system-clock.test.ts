import { afterEach, expect, it, vi } from 'vitest'
import { systemEntropy } from './system-clock.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('never draws the same name twice, nor one that the port does not allow', () => {
  const names = Array.from({ length: 20_000 }, () => systemEntropy.uniqueId())
  expect(new Set(names).size).toBe(names.length)
  expect(names.filter((name) => !/^[A-Za-z0-9_-]{1,40}$/.test(name))).toEqual([])
})

it('draws names in the order of time', () => {
  vi.useFakeTimers()
  const instants = [0, 1, 31, 32, 1_763_726_400_000, 1_763_726_400_001, 4_102_444_800_000]
  const names = instants.map((instant) => {
    vi.setSystemTime(instant)
    return systemEntropy.uniqueId()
  })
  expect([...names].sort()).toEqual(names)
})
