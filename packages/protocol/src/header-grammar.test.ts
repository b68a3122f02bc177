import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isTrue, parseDecimal } from './header-grammar.ts'

const runs = { seed: 20_241_009, numRuns: 5000 }

describe('a decimal number', () => {
  it.each([
    ['0', 0],
    ['7', 7],
    ['10', 10],
    ['1000000', 1_000_000],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%s is read', (text, number) => {
    expect(parseDecimal(text)).toBe(number)
  })

  it.each(['9007199254740992', '9007199254740993', '9999999999999999', '10000000000000000', '9'.repeat(400)])(
    '%s is above 2^53-1 and refused',
    (text) => {
      expect(parseDecimal(text)).toBeUndefined()
    },
  )

  it.each([
    ['nothing', ''],
    ['a leading zero', '00'],
    ['a leading zero before digits', '05'],
    ['a minus sign', '-1'],
    ['minus zero', '-0'],
    ['a plus sign', '+1'],
    ['a fraction', '1.0'],
    ['an exponent', '1e3'],
    ['hexadecimal', '0x10'],
    ['a space before', ' 1'],
    ['a space after', '1 '],
    ['a line feed after', '1\n'],
    ['the header sent twice', '1, 1'],
    ['a separator', '1_000'],
    ['digits of another script', '\u0661'],
    ['a word', 'NaN'],
    ['infinity', 'Infinity'],
  ])('%s is refused', (_, text) => {
    expect(parseDecimal(text)).toBeUndefined()
  })

  it('is every integer from 0 to 2^53-1 in its plain spelling', () => {
    const property = fc.property(fc.maxSafeNat(), (number) => parseDecimal(String(number)) === number)
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('has no other spelling', () => {
    const near = fc.string({ unit: fc.constantFrom(...'0123456789+-.eExX_, \n'), maxLength: 20 })
    const property = fc.property(fc.oneof(near, fc.string({ unit: 'binary' })), (text) => {
      const number = parseDecimal(text)
      return number === undefined || (Number.isSafeInteger(number) && String(number) === text)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('Stream-Closed', () => {
  it.each(['true', 'TRUE', 'True', 'tRuE'])('R-009: counts when it is %s', (value) => {
    expect(isTrue(value)).toBe(true)
  })

  it.each([undefined, '', 'false', '1', 'yes', 'true ', ' true', 'true, true', 'truE\n', 't\u0280ue'])(
    'R-009: is as if absent when it is %j',
    (value) => {
      expect(isTrue(value)).toBe(false)
    },
  )
})
