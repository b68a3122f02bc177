import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PROTOCOL_LIMITS } from './limits.ts'
import { formatOffset, type ParsedOffset, parseOffset, ZERO_OFFSET } from './offset.ts'

const runs = { seed: 20_241_009, numRuns: 5000 }
const SHAPE = /^[0-9]{16}_[0-9]{16}$/

const position = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 9, 10, PROTOCOL_LIMITS.maxPosition - 1, PROTOCOL_LIMITS.maxPosition),
)

function positionOf(parsed: ParsedOffset): number | undefined {
  return parsed.kind === 'offset' ? parsed.position : undefined
}

describe('an offset that is minted', () => {
  it('R-030: is sixteen zeros, an underscore and sixteen zeros at the start of a stream', () => {
    expect(ZERO_OFFSET).toBe('0000000000000000_0000000000000000')
    expect(parseOffset(ZERO_OFFSET)).toEqual({ kind: 'offset', generation: 0, position: 0 })
  })

  it('R-025: is a short token of characters that a URL and a header carry as they are', () => {
    const property = fc.property(position, (at) => {
      const token: string = formatOffset(at, 0)
      return token.length < 256 && !/[,&=?/\s\p{Cc}]/u.test(token) && /^[\x21-\x7e]+$/.test(token)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-028: is never a sentinel', () => {
    const property = fc.property(position, (at) => !['-1', 'now'].includes(formatOffset(at, 0)))
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('names the position that it was minted for', () => {
    const property = fc.property(position, (at) => positionOf(parseOffset(formatOffset(at, 0))) === at)
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-026: compares bytewise as positions compare', () => {
    const property = fc.property(position, position, (a, b) => {
      const [left, right] = [formatOffset(a, 0), formatOffset(b, 0)]
      return a < b === left < right && (a === b) === (left === right)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('a token that is read', () => {
  it.each([
    ['a sentinel for the start', '-1'],
    ['a sentinel for the tail', 'now'],
    ['nothing', ''],
    ['a line feed after it', `${ZERO_OFFSET}\n`],
    ['a carriage return after it', `${ZERO_OFFSET}\r`],
    ['a space before it', ` ${ZERO_OFFSET}`],
    ['a NUL in it', '0000000000000000_000000000000000\0'],
    ['one digit too few', '0000000000000000_000000000000000'],
    ['one digit too many', '0000000000000000_00000000000000000'],
    ['one part only', '0000000000000000'],
    ['another separator', '0000000000000000-0000000000000000'],
    ['a sign', '0000000000000000_-000000000000001'],
    ['a letter', '0000000000000000_000000000000000a'],
    ['digits of another script', '0000000000000000_000000000000000\u0661'],
    ['a comma', '0000000000000000_0000000000000000,0'],
    ['a slash', '0000000000000000/0000000000000000'],
    ['two dots', '../0000000000000_0000000000000000'],
    ['itself twice', `${ZERO_OFFSET}${ZERO_OFFSET}`],
  ])('is malformed with %s', (_, token) => {
    expect(parseOffset(token)).toEqual({ kind: 'malformed' })
  })

  it.each(['9999999999999999_9999999999999999', '9007199254740992_0000000000000000'])(
    'R-031: %s is well-formed and beyond every stream',
    (token) => {
      expect(parseOffset(token)).toEqual({ kind: 'beyond' })
    },
  )

  it('is beyond every stream above position 2^53-1', () => {
    expect(parseOffset('0000000000000000_9007199254740991').kind).toBe('offset')
    expect(parseOffset('0000000000000000_9007199254740992').kind).toBe('beyond')
  })

  it('is malformed unless it has exactly the shape, and a position only if it was minted so', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 14, maxLength: 18 })
    const near = fc.tuple(fc.constantFrom('0'.repeat(16), '1'), digits, fc.constantFrom('', '\n', ' ', '0'))
    const token = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'0019_-\n ,/.'), maxLength: 34 }),
      near.map(([generation, rest, end]) => `${generation}_${rest}${end}`),
      fc.tuple(digits, digits).map(([generation, rest]) => `${generation}_${rest}`),
    )
    const property = fc.property(token, (text) => {
      const parsed = parseOffset(text)
      const isMinted = parsed.kind !== 'offset' || formatOffset(parsed.position, parsed.generation) === text
      return isMinted && (parsed.kind !== 'malformed') === SHAPE.test(text)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
