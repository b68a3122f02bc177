import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CursorClock, DEFAULT_CURSOR_CLOCK, nextCursor } from './cursor.ts'

const runs = { seed: 20_241_009, numRuns: 5000 }
const EPOCH = Date.UTC(2024, 9, 9)
const NOW = EPOCH + 1_000_000 * 20_000
const CURRENT = 1_000_000n

/** No jitter to speak of: the smallest draw there is. */
const least = (): number => 0
/** The largest draw below 1. */
const most = (): number => 1 - Number.EPSILON

describe('the cursor', () => {
  it('R-171: counts intervals of 20 seconds since 2024-10-09T00:00:00Z', () => {
    expect(DEFAULT_CURSOR_CLOCK).toEqual({ intervalSeconds: 20, epochMs: Date.parse('2024-10-09T00:00:00Z') })
    expect(nextCursor(undefined, EPOCH, least)).toBe(0n)
    expect(nextCursor(undefined, EPOCH + 19_999, least)).toBe(0n)
    expect(nextCursor(undefined, EPOCH + 20_000, least)).toBe(1n)
    expect(nextCursor(undefined, Date.UTC(2025, 9, 9), least)).toBe(BigInt((365 * 24 * 3600) / 20))
  })

  it('R-171: counts other intervals when the deployment says so', () => {
    const clock: CursorClock = { intervalSeconds: 7, epochMs: 1000 }
    expect(nextCursor(undefined, 1000 + 6999, least, clock)).toBe(0n)
    expect(nextCursor(undefined, 1000 + 7000, least, clock)).toBe(1n)
    expect(nextCursor('1', 1000 + 7000, most, clock)).toBe(1n + 515n)
  })

  it.each(['0', '999999', '0000000999999'])(
    'is the current interval for a client behind it: %s',
    (client) => {
      expect(nextCursor(client, NOW, most)).toBe(CURRENT)
    },
  )

  it.each([
    ['the least jitter is one interval', least, CURRENT + 1n],
    ['a jitter of 20 s is one interval', () => 19.5 / 3600, CURRENT + 1n],
    ['a jitter of 21 s is two intervals', () => 20.5 / 3600, CURRENT + 2n],
    ['the greatest jitter is 3600 s', most, CURRENT + 180n],
  ])('R-171: moves a client at the current interval forward: %s', (_, random, cursor) => {
    expect(nextCursor(String(CURRENT), NOW, random)).toBe(cursor)
  })

  it('R-172: moves a client past the current interval forward as well', () => {
    expect(nextCursor('5000000', NOW, least)).toBe(5_000_001n)
    expect(nextCursor('5000000', NOW, most)).toBe(5_000_180n)
    expect(nextCursor('999999999999999999', NOW, least)).toBe(1_000_000_000_000_000_000n)
  })

  it.each([
    '',
    'abc',
    '-1',
    '+1000000',
    '1000000.5',
    '1e9',
    ' 1000000',
    '1000000\n',
    '0x1',
    '\u0661',
    '9'.repeat(19),
  ])('R-172: takes the malformed %j as if absent', (client) => {
    expect(nextCursor(client, NOW, most)).toBe(CURRENT)
  })

  it('R-170: is strictly greater than a cursor that is echoed', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    const client = fc.oneof(
      fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }),
      fc.bigInt({ min: CURRENT - 3n, max: CURRENT + 3n }),
    )
    const property = fc.property(client, random, (asked, draw) => {
      const cursor = nextCursor(String(asked), NOW, () => draw)
      return asked < CURRENT ? cursor === CURRENT : cursor > asked && cursor <= asked + 180n
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-168: is a decimal number without a sign, whatever the client sends and the clock says', () => {
    const client = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.bigInt().map(String)), {
      nil: undefined,
    })
    const nowMs = fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) })
    const property = fc.property(client, nowMs, (text, now) => {
      return /^(?:0|[1-9]\d*)$/.test(String(nextCursor(text, now, least)))
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
