import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PROTOCOL_LIMITS } from './limits.ts'
import { type ParsedPath, parseStreamPath } from './stream-path.ts'

const runs = { seed: 20_241_009, numRuns: 8000 }

function summary(parsed: ParsedPath): string {
  return parsed.kind === 'invalid' ? 'invalid' : `${parsed.kind} ${parsed.path}`
}

describe('a stream path', () => {
  it.each([
    'a',
    'a/b/c',
    'A-Z_a~z.0',
    'events/2030-01-31',
    '-',
    '~',
    '_ds',
    '__dsx',
    '__DS',
    'x/__ds',
    'a/...',
    '.a',
    'a.',
  ])('R-001: %s is its own canonical form', (raw) => {
    expect(parseStreamPath(raw)).toEqual({ kind: 'stream', path: raw })
  })

  it.each([
    ['escapes of unreserved characters are decoded', '%61%7e%2D%5f%2Eb/%30', 'a~-_.b/0'],
    ['hexadecimal digits of the others are in upper case', 'a%2fb%c3%a4', 'a%2Fb%C3%A4'],
    ['an escaped slash is not a slash', 'a%2Fb', 'a%2Fb'],
    ['an escaped percent sign stays one', 'a%2561', 'a%2561'],
    [
      'a character that belongs into no URL is escaped',
      'a b"<>\\^`{|}[]#?',
      'a%20b%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D%23%3F',
    ],
    ['sub-delimiters stay as they are', "a!$&'()*+,;=:@", "a!$&'()*+,;=:@"],
    ['escaped sub-delimiters stay escaped', '%21%3b%3D', '%21%3B%3D'],
    ['bytes that are not UTF-8 stay escaped', '%ff%80', '%FF%80'],
  ])('R-004: %s', (_, raw, canonical) => {
    expect(parseStreamPath(raw)).toEqual({ kind: 'stream', path: canonical })
  })

  it.each([
    ['nothing', ''],
    ['a slash only', '/'],
    ['a slash first', '/a'],
    ['a slash last', 'a/'],
    ['two slashes', 'a//b'],
    ['a dot', '.'],
    ['two dots', '..'],
    ['a dot segment first', './a'],
    ['a dot segment in the middle', 'a/../b'],
    ['a dot segment last', 'a/..'],
    ['escaped dots', 'a/%2e%2E/b'],
    ['half escaped dots', 'a/.%2e'],
    ['an escaped dot', '%2e/a'],
    ['a NUL', 'a\u0000'],
    ['an escaped NUL', 'a%00'],
    ['an escaped line feed', 'a%0a'],
    ['an escaped escape', 'a%1B'],
    ['an escaped delete', 'a%7f'],
    ['a delete', 'a\u007f'],
    ['a tab', 'a\tb'],
    ['an escape cut short', 'a%2'],
    ['a lone percent sign', 'a%'],
    ['an escape that is not hexadecimal', 'a%zz'],
    ['an escape with a sign', 'a%+1'],
    ['a letter outside ASCII', 'a\u00e4'],
    ['a character beyond one byte', 'a\u2028'],
    ['half a surrogate pair', 'a\ud800'],
  ])('R-004: is refused with %s', (_, raw) => {
    expect(parseStreamPath(raw)).toEqual({
      kind: 'invalid',
      detail: expect.stringMatching(/^The .+\.$/),
    })
  })

  it('R-004: is at most as long as the limit, in its canonical form', () => {
    const { maxPathBytes } = PROTOCOL_LIMITS
    expect(parseStreamPath('a'.repeat(maxPathBytes)).kind).toBe('stream')
    expect(parseStreamPath('a'.repeat(maxPathBytes + 1)).kind).toBe('invalid')
    expect(parseStreamPath('%61'.repeat(maxPathBytes)).kind).toBe('stream')
    expect(parseStreamPath('%61'.repeat(maxPathBytes + 1)).kind).toBe('invalid')
    expect(parseStreamPath(' '.repeat(maxPathBytes / 3)).kind).toBe('stream')
    expect(parseStreamPath(' '.repeat(maxPathBytes / 3 + 1)).kind).toBe('invalid')
  })
})

describe('a control path', () => {
  it.each([
    ['__ds', ''],
    ['__ds/subscriptions', 'subscriptions'],
    ['__ds/subscriptions/a%2fb', 'subscriptions/a%2Fb'],
    ['__ds/__ds', '__ds'],
  ])('R-002: %s is below the reserved first segment', (raw, path) => {
    expect(parseStreamPath(raw)).toEqual({ kind: 'control', path })
  })

  it.each(['%5F%5Fds', '%5f_ds', '_%5Fds', '__%64s', '__d%73', '%5f%5F%64%73'])(
    'R-003: %s is the reserved segment all the same',
    (spelling) => {
      expect(parseStreamPath(spelling)).toEqual({ kind: 'control', path: '' })
      expect(parseStreamPath(`${spelling}/keys`)).toEqual({ kind: 'control', path: 'keys' })
    },
  )

  it.each(['__ds/', '__ds//keys', '__ds/../a', '%5F%5Fds/.'])('R-003: %s never names a stream', (raw) => {
    expect(parseStreamPath(raw).kind).not.toBe('stream')
  })

  it.each(['%255F%255Fds', '__ds%2Fkeys', '__ds%20'])('is not %s, which is decoded once', (raw) => {
    expect(parseStreamPath(raw).kind).toBe('stream')
  })
})

describe('any path', () => {
  const piece = fc.constantFrom(
    ...'%/._~-:@!aZ09 \\?#"',
    '..',
    '__ds',
    '%2e',
    '%2E',
    '%2f',
    '%5F',
    '%5f%5fds',
    '%00',
    '%7F',
    '%25',
    '%c3%A4',
    '%FF',
    '\u0000',
    '\u001f',
    '\u007f',
    '\u00e4',
    '\ud83d',
  )
  const raw = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
    fc.array(fc.webSegment(), { minLength: 1, maxLength: 6 }).map((segments) => segments.join('/')),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary-ascii' }),
  )

  it('R-004: is refused or becomes canonical: parsing the canonical path gives the same path', () => {
    const property = fc.property(raw, (text) => {
      const parsed = parseStreamPath(text)
      return parsed.kind !== 'stream' || summary(parseStreamPath(parsed.path)) === summary(parsed)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-003, R-004: is refused or free of dot segments, controls, needless escapes and the reserved segment', () => {
    const property = fc.property(raw, (text) => {
      const parsed = parseStreamPath(text)
      if (parsed.kind !== 'stream') return true
      const segments = parsed.path.split('/')
      return (
        /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-F]{2})+$/.test(parsed.path) &&
        !/%(?:0.|1.|7F|2[DE]|3\d|[46][1-9A-F]|[57][0-9A]|5F|7E)/.test(parsed.path) &&
        segments.every((segment) => !['', '.', '..'].includes(segment)) &&
        segments[0] !== '__ds' &&
        parsed.path.length <= PROTOCOL_LIMITS.maxPathBytes
      )
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-003: leads to control routes exactly when its first segment decodes to the reserved one', () => {
    const spelled = fc
      .tuple(
        ...[...'__ds'].map((letter) =>
          fc.constantFrom(letter, hexEscape(letter), hexEscape(letter).toLowerCase()),
        ),
      )
      .map((letters) => letters.join(''))
    const path = fc.tuple(fc.oneof(spelled, fc.constantFrom('__d', '__dss', 'ds', 'a')), raw)
    const property = fc.property(path, ([first, rest]) => {
      const parsed = parseStreamPath(`${first}/${rest}`)
      return (parsed.kind === 'control') === (decodeURIComponent(first) === '__ds')
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-004: is the same for two spellings that decode to the same bytes of unreserved characters', () => {
    const letter = fc.constantFrom(...'abzAZ019-_~')
    const property = fc.property(fc.array(fc.tuple(letter, fc.boolean()), { minLength: 1 }), (letters) => {
      const plain = letters.map(([text]) => text).join('')
      const mixed = letters.map(([text, escaped]) => (escaped ? hexEscape(text) : text)).join('')
      return summary(parseStreamPath(plain)) === summary(parseStreamPath(mixed))
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is answered however long it is', () => {
    const long = ['/', 'a/', '%', '%61', '..', './', '\u00e4', ' ', 'a'].map((unit) => unit.repeat(200_000))
    expect(long.map((text) => parseStreamPath(text).kind)).toEqual(Array.from(long, () => 'invalid'))
  })
})

function hexEscape(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
