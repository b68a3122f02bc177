import { describe, expect, test } from 'vitest'
import { LatencyLog, median, percentile } from './percentile.ts'

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
  test.each([
    [50, 50],
    [99, 99],
    [99.5, 100],
    [100, 100],
    [0.1, 1],
  ])('%d of 1 to 100 is %d', (percent, expected) => {
    expect(percentile(hundred, percent)).toBe(expected)
  })

  test('one value is every percentile', () => {
    expect([1, 50, 99].map((percent) => percentile([7], percent))).toEqual([7, 7, 7])
  })

  test('of nothing is zero', () => {
    expect(percentile([], 50)).toBe(0)
  })
})

describe('median', () => {
  test('of an odd and an even number of values', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([])]).toEqual([2, 2.5, 0])
  })
})

describe('the latency log', () => {
  test('sorts by value and forgets what was cleared', () => {
    const log = new LatencyLog(200)
    log.add(1_000)
    log.clear()
    for (const value of [30, 4, 200, 11, 5]) log.add(value)
    expect(log.count).toBe(5)
    expect(log.summary()).toEqual({ p50: 11, p99: 200 })
  })
})
