import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseQuery } from './query.ts'

const runs = { seed: 20_241_009, numRuns: 5000 }

describe('a query', () => {
  it.each([
    ['nothing', '', []],
    ['another parameter', 'live=sse', []],
    ['the parameter', 'offset=-1', ['-1']],
    ['an empty value', 'offset=', ['']],
    ['no equals sign', 'offset', ['']],
    ['an equals sign in the value', 'offset=a=b', ['a=b']],
    ['empty pairs around it', '&&offset=now&', ['now']],
    ['another case', 'Offset=now', []],
    ['its name inside another', 'xoffset=1&offsetx=2', []],
    ['its name with escapes', '%6fffset=1', ['1']],
    ['a question mark in the value', 'offset=a?b', ['a?b']],
    ['a semicolon, which separates nothing', 'offset=a;offset=b', ['a;offset=b']],
    ['an array of brackets, which is another name', 'offset[]=1', []],
  ])('with %s', (_, query, values) => {
    expect(parseQuery(query).all('offset')).toEqual(values)
  })

  it('R-006: gives every value of a repeated parameter, in order', () => {
    expect(parseQuery('offset=b&live=sse&offset=a').all('offset')).toEqual(['b', 'a'])
  })

  it('R-005: keeps parameters that nobody asks for out of the way', () => {
    const query = parseQuery('foo=1&offset=-1&__proto__=2&constructor=3&toString=4')
    expect(query.all('offset')).toEqual(['-1'])
    expect(parseQuery('').all('__proto__')).toEqual([])
    expect(parseQuery('').all('constructor')).toEqual([])
  })

  it('decodes a value exactly once', () => {
    expect(parseQuery('offset=%2530').all('offset')).toEqual(['%30'])
    expect(parseQuery('offset=a%26live%3Dsse').all('live')).toEqual([])
  })

  it('keeps a plus sign as it is', () => {
    expect(parseQuery('offset=+1+%2B').all('offset')).toEqual(['+1++'])
  })

  it.each(['%', '%4', '%zz', '%ff', '%c3', '%ed%a0%80', '%u0041'])(
    'has no value where %s does not decode',
    (text) => {
      expect(parseQuery(`offset=${text}`).all('offset')).toEqual([undefined])
    },
  )

  it('ignores a name that does not decode', () => {
    expect(parseQuery('%ff=1&offset=2').all('offset')).toEqual(['2'])
  })

  it('is read back as it was written, whatever the names and values', () => {
    const pair = fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }))
    const property = fc.property(fc.array(pair, { maxLength: 8 }), (pairs) => {
      const query = parseQuery(pairs.map((names) => names.map(encodeURIComponent).join('=')).join('&'))
      // A pair of two empty strings leaves `=`, which is a parameter with an empty name.
      const expected = (name: string): string[] =>
        pairs.filter(([key]) => key === name).map(([, value]) => value)
      return pairs.every(([name]) => JSON.stringify(query.all(name)) === JSON.stringify(expected(name)))
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('never throws, and has one value for each time the name stands there', () => {
    const text = fc.string({
      unit: fc.constantFrom(...'%&=+?;09aAfF', 'offset', '%00', '%C3%A4', '\u0000', '\ud800'),
    })
    const property = fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (query) => {
      const plain = query.split('&').filter((pair) => pair === 'offset' || pair.startsWith('offset='))
      return parseQuery(query).all('offset').length >= plain.length
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
