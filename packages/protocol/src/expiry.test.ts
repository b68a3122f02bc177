import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deadlineMs, type Expiry, isSameExpiry, NEVER, parseExpiresAt, parseTtl } from './expiry.ts'

const runs = { seed: 20_241_009, numRuns: 5000 }

function instantOf(expiry: Expiry | undefined): number | undefined {
  return expiry?.kind === 'at' ? expiry.instantMs : undefined
}

function at(text: string): Expiry {
  const expiry = parseExpiresAt(text)
  if (expiry === undefined) throw new Error(`${text} is no date-time`)
  return expiry
}

function ttl(ttlSeconds: number): Expiry {
  return { kind: 'ttl', ttlSeconds }
}

describe('Stream-TTL', () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['3600', 3600],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('R-230: %s is a window of so many seconds', (value, ttlSeconds) => {
    expect(parseTtl(value)).toEqual({ kind: 'ttl', ttlSeconds })
  })

  it.each(['abc', '-1', '', '9007199254740992', '60, 60'])('R-228: %j is refused', (value) => {
    expect(parseTtl(value)).toBeUndefined()
  })

  it.each(['00060', '+60', '60.5', '1e3'])('R-229: %s is refused', (value) => {
    expect(parseTtl(value)).toBeUndefined()
  })
})

describe('Stream-Expires-At', () => {
  const noon = Date.UTC(2030, 0, 31, 12)

  it.each([
    ['2030-01-31T12:00:00Z', noon],
    ['2030-01-31T12:00:00.0Z', noon],
    ['2030-01-31T13:30:00+01:30', noon],
    ['2030-01-31T00:00:00-12:00', noon],
    ['2030-01-31T12:00:00-00:00', noon],
    ['2030-02-01T11:59:00+23:59', noon],
    ['2030-01-31t12:00:00z', noon],
    ['2030-01-31T12:00:00.25Z', noon + 250],
    ['2030-01-31T12:00:00.123456789Z', noon + 123],
    ['2030-01-31T12:00:00.9999Z', noon + 999],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
    ['2016-12-31T23:59:60.5Z', Date.UTC(2017, 0, 1) + 500],
    ['1970-01-01T00:00:00Z', 0],
  ])('R-232: %s is an instant, and kept as it is written', (value, instantMs) => {
    expect(parseExpiresAt(value)).toEqual({ kind: 'at', instantMs, text: value })
  })

  it.each([
    ['garbage', 'tomorrow'],
    ['nothing', ''],
    ['a number of seconds', '1893456000'],
    ['an HTTP date', 'Thu, 31 Jan 2030 12:00:00 GMT'],
    ['the header sent twice', '2030-01-31T12:00:00Z, 2030-01-31T12:00:00Z'],
  ])('R-231: is refused with %s', (_, value) => {
    expect(parseExpiresAt(value)).toBeUndefined()
  })

  it.each([
    ['a date only', '2030-01-31'],
    ['no zone', '2030-01-31T12:00:00'],
    ['no seconds', '2030-01-31T12:00Z'],
    ['a space for the T', '2030-01-31 12:00:00Z'],
    ['the basic format', '20300131T120000Z'],
    ['a week date', '2030-W05-4T12:00:00Z'],
    ['a zone without a colon', '2030-01-31T12:00:00+0100'],
    ['a zone of hours only', '2030-01-31T12:00:00+01'],
    ['a zone beyond a day', '2030-01-31T12:00:00+24:00'],
    ['a zone of 60 minutes', '2030-01-31T12:00:00+00:60'],
    ['a name as zone', '2030-01-31T12:00:00 CET'],
    ['an empty fraction', '2030-01-31T12:00:00.Z'],
    ['a comma in the fraction', '2030-01-31T12:00:00,5Z'],
    ['five digits of a year', '12030-01-31T12:00:00Z'],
    ['a signed year', '+002030-01-31T12:00:00Z'],
    ['month 0', '2030-00-31T12:00:00Z'],
    ['month 13', '2030-13-31T12:00:00Z'],
    ['day 0', '2030-01-00T12:00:00Z'],
    ['31 April', '2030-04-31T12:00:00Z'],
    ['29 February of a common year', '2030-02-29T12:00:00Z'],
    ['hour 24', '2030-01-31T24:00:00Z'],
    ['minute 60', '2030-01-31T12:60:00Z'],
    ['second 61', '2030-01-31T12:00:61Z'],
    ['a line feed after it', '2030-01-31T12:00:00Z\n'],
    ['a space before it', ' 2030-01-31T12:00:00Z'],
    ['digits of another script', '203\u0660-01-31T12:00:00Z'],
  ])('R-233: is refused with %s', (_, value) => {
    expect(parseExpiresAt(value)).toBeUndefined()
  })

  it('R-233: takes an instant that has passed', () => {
    expect(instantOf(parseExpiresAt('2001-01-01T00:00:00Z'))).toBe(Date.UTC(2001, 0, 1))
  })

  it('R-232: names the same instant in every zone', () => {
    const instant = fc.integer({ min: Date.UTC(1000, 0, 1), max: Date.UTC(9000, 0, 1) })
    const zone = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 })
    const property = fc.property(instant, zone, (instantMs, minutes) => {
      const local = new Date(instantMs + minutes * 60_000).toISOString().slice(0, -1)
      const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
      const ending = `${String(hours).padStart(2, '0')}:${String(rest).padStart(2, '0')}`
      return instantOf(parseExpiresAt(`${local}${minutes < 0 ? '-' : '+'}${ending}`)) === instantMs
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is refused, or an instant, and never anything else', () => {
    const near = fc
      .array(fc.constantFrom(...'0123456789-:.TtZz+ ', '2030-01-31', 'T12:00:00', '60', '\n'), {
        maxLength: 24,
      })
      .map((parts) => parts.join(''))
    const property = fc.property(fc.oneof(near, fc.string({ unit: 'binary' })), (value) => {
      const expiry = parseExpiresAt(value)
      return expiry === undefined || Number.isSafeInteger(instantOf(expiry))
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('the deadline', () => {
  it('is none for a stream that does not expire', () => {
    expect(deadlineMs(NEVER, 1000)).toBeUndefined()
  })

  it('R-237, R-238: slides with the last use when there is a TTL', () => {
    expect(deadlineMs(ttl(60), 1000)).toBe(61_000)
    expect(deadlineMs(ttl(60), 5000)).toBe(65_000)
  })

  it('R-242: never moves when there is an instant', () => {
    const expiry = at('2030-01-31T12:00:00Z')
    expect(deadlineMs(expiry, 0)).toBe(Date.UTC(2030, 0, 31, 12))
    expect(deadlineMs(expiry, Date.UTC(2031, 0, 1))).toBe(Date.UTC(2030, 0, 31, 12))
  })

  it('R-233: is at once for a TTL of 0', () => {
    expect(deadlineMs(ttl(0), 1000)).toBe(1000)
  })
})

describe('two expiries', () => {
  const instant = '2030-01-31T12:00:00Z'

  it.each([
    ['none and none', NEVER, NEVER, true],
    ['a TTL and the same', ttl(60), ttl(60), true],
    ['a TTL and another', ttl(60), ttl(61), false],
    ['a TTL and none', ttl(60), NEVER, false],
    ['a TTL of 0 and none', ttl(0), NEVER, false],
    ['an instant and none', at(instant), NEVER, false],
    ['an instant and a TTL', at(instant), ttl(60), false],
    ['an instant and itself in another zone', at(instant), at('2030-01-31T13:00:00+01:00'), true],
    ['an instant and itself with a fraction', at(instant), at('2030-01-31T12:00:00.000Z'), true],
    ['an instant and the next millisecond', at(instant), at('2030-01-31T12:00:00.001Z'), false],
  ])('R-066, R-067: %s', (_, a, b, same) => {
    expect(isSameExpiry(a, b)).toBe(same)
    expect(isSameExpiry(b, a)).toBe(same)
  })
})
