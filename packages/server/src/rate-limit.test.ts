import { expect, it } from 'vitest'
import { RateLimit } from './rate-limit.ts'

function limitAt(perSecond: number): { readonly limit: RateLimit; readonly clock: { nowMs: number } } {
  const clock = { nowMs: 1_000_000 }
  return { limit: new RateLimit(perSecond, () => clock.nowMs), clock }
}

it('lets a burst of as many through as the rate, and then says how long to wait', () => {
  const { limit } = limitAt(3)
  expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([undefined, undefined, undefined, 1])
})

it('fills up with time, but never beyond the burst', () => {
  const { limit, clock } = limitAt(2)
  limit.take('a')
  limit.take('a')
  clock.nowMs += 500
  expect([limit.take('a'), limit.take('a')]).toEqual([undefined, 1])
  clock.nowMs += 3_600_000
  expect([1, 2, 3].map(() => limit.take('a'))).toEqual([undefined, undefined, 1])
})

it('counts clients apart, and forgets the oldest of very many', () => {
  const { limit } = limitAt(1)
  expect([limit.take('a'), limit.take('b'), limit.take('a')]).toEqual([undefined, undefined, 1])
  for (let i = 0; i < 10_001; i++) limit.take(`client ${i}`)
  expect(limit.take('a')).toBeUndefined()
})
