import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PROTOCOL_LIMITS } from './limits.ts'
import { DEFAULT_CONTENT_TYPE, parseMediaType, streamFormat } from './media-type.ts'

const runs = { seed: 20_241_009, numRuns: 4000 }

/** Parses within a deadline, so that a search without end fails instead of holding up the run. */
function parseInTime(contentType: string): unknown {
  return runInNewContext('parse(value)', { parse: parseMediaType, value: contentType }, { timeout: 5000 })
}

describe('a media type', () => {
  it.each([
    ['text/plain', 'text/plain'],
    ['application/json', 'application/json'],
    ['application/vnd.api+json', 'application/vnd.api+json'],
    ['x/y', 'x/y'],
    ["!#$%&'*+.^_`|~09aZ-/t", "!#$%&'*+.^_`|~09az-/t"],
  ])('%s is read', (value, mediaType) => {
    expect(parseMediaType(value)).toBe(mediaType)
  })

  it.each(['TEXT/Plain', 'Text/PLAIN', 'text/PLAIN; Charset=X'])(
    'R-060: %s compares as text/plain',
    (value) => {
      expect(parseMediaType(value)).toBe('text/plain')
    },
  )

  it.each([
    'text/plain; charset=utf-8',
    'text/plain;charset=utf-8',
    'text/plain ;\tcharset=utf-8 ; format=flowed',
    'text/plain; charset="utf-8"',
    'text/plain; a="; b=\\"c\\""; d=e',
    'text/plain; a=""',
    'text/plain;',
    'text/plain; ; ;charset=utf-8;',
  ])('R-061: %s compares as text/plain', (value) => {
    expect(parseMediaType(value)).toBe('text/plain')
  })

  it.each([
    ['nothing', ''],
    ['one word', 'text'],
    ['no subtype', 'text/'],
    ['no type', '/plain'],
    ['a slash too many', 'text/plain/x'],
    ['a space in it', 'text / plain'],
    ['a space before it', ' text/plain'],
    ['a line feed after it', 'text/plain\n'],
    ['a second header joined to it', 'text/plain, text/html'],
    ['a character that is no token', 'text/pl(ain'],
    ['a letter outside ASCII', 'text/pl\u00e4in'],
    ['a parameter without a value', 'text/plain; charset'],
    ['a parameter without a name', 'text/plain; =utf-8'],
    ['spaces around an equals sign', 'text/plain; charset = utf-8'],
    ['a quote that stays open', 'text/plain; a="b'],
    ['a control character in quotes', 'text/plain; a="\u0007"'],
    ['a line feed in quotes', 'text/plain; a="\r\nX: y"'],
    ['a parameter without a semicolon', 'text/plain charset=utf-8'],
  ])('is refused with %s', (_, value) => {
    expect(parseMediaType(value)).toBeUndefined()
  })

  it('is at most as long as the limit', () => {
    const longest = `text/${'x'.repeat(PROTOCOL_LIMITS.maxContentTypeBytes - 5)}`
    expect(parseMediaType(longest)).toBe(longest)
    expect(parseMediaType(`${longest}x`)).toBeUndefined()
  })

  it('is two tokens in lower case whenever it is read', () => {
    const part = fc.string({ unit: fc.constantFrom(...'aZ09/;= \t"\\.+-,\n\u0001\u00e9'), maxLength: 24 })
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      part,
      part.map((text) => `text/plain;${text}`),
    )
    const property = fc.property(value, (text) => {
      const mediaType = parseMediaType(text)
      return mediaType === undefined || /^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+$/.test(mediaType)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is the same with parameters of any kind after it', () => {
    const token = fc.string({
      unit: fc.constantFrom(...'abcXYZ019!#$%&*+.^_`|~-'),
      minLength: 1,
      maxLength: 8,
    })
    const quoted = fc
      .string({ unit: fc.constantFrom('a', ';', '=', ' ', '\t', ',', '/', '\\"', '\\\\'), maxLength: 8 })
      .map((text) => `"${text}"`)
    const space = fc.constantFrom('', ' ', '\t', '  ')
    const parameter = fc
      .tuple(space, space, token, fc.oneof(token, quoted))
      .map(([before, after, name, value]) => `${before};${after}${name}=${value}`)
    const property = fc.property(
      token,
      token,
      fc.array(parameter, { maxLength: 6 }),
      (type, subtype, rest) => {
        return parseMediaType(`${type}/${subtype}${rest.join('')}`) === `${type}/${subtype}`.toLowerCase()
      },
    )
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('a Content-Type made to keep the parser searching', () => {
  const longest = PROTOCOL_LIMITS.maxContentTypeBytes - 1
  const fill = (start: string, unit: string): string =>
    start + unit.repeat(Math.floor((longest - start.length) / unit.length))

  it.each([
    ['empty parameters with a space before each', fill('a/b', ' ;')],
    ['empty parameters with a space after each', fill('a/b', '; ')],
    ['empty parameters with spaces around each', fill('a/b', ' ;\t')],
    ['empty parameters', fill('a/b', ';')],
    ['spaces', fill('a/b;', ' ')],
    ['parameters', fill('a/b', ';a=b')],
    ['parameters with spaces', fill('a/b', ' ; a=b')],
    ['quoted values', fill('a/b', ';a=""')],
    ['quoted pairs', fill('a/b;a="', '\\a')],
    ['backslashes', fill('a/b;a="', '\\')],
    ['quotes', fill('a/b;a=', '"')],
    ['token characters', fill('a/', 'a')],
    ['slashes', fill('a', '/')],
  ])('is refused at once: %s, then a control character', (_, value) => {
    expect(parseInTime(`${value}\u0001`)).toBeUndefined()
  })

  it('is refused at once when it is much too long', () => {
    expect(parseInTime(`a/b${' ;'.repeat(100_000)}`)).toBeUndefined()
  })
})

describe('the format of a stream', () => {
  it.each([
    ['application/json', 'json'],
    ['text/plain', 'text'],
    ['text/event-stream', 'text'],
    ['text/html', 'text'],
  ])('of %s is %s', (mediaType, format) => {
    expect(streamFormat(mediaType)).toBe(format)
  })

  it.each(['application/x-protobuf', 'image/png', 'application/octet-stream'])(
    'R-197: of %s is bytes',
    (mediaType) => {
      expect(streamFormat(mediaType)).toBe('binary')
    },
  )

  it.each(['application/ndjson', 'application/vnd.api+json', 'application/json-seq', 'text', 'x-text/plain'])(
    'of %s is bytes: JSON mode is for exactly application/json, text for text/*',
    (mediaType) => {
      expect(streamFormat(mediaType)).toBe('binary')
    },
  )

  it('is bytes when no Content-Type is given', () => {
    expect(streamFormat(DEFAULT_CONTENT_TYPE)).toBe('binary')
  })
})
