import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ParsedRead, parseRead, type ReadRequest } from './parse-read.ts'
import { toProblem } from './problem.ts'
import { parseQuery } from './query.ts'
import type { Rejection } from './rejection.ts'

const runs = { seed: 20_241_009, numRuns: 8000 }
const TOKEN = '0000000000000000_0000000000000012'
const BEYOND = '9999999999999999_9999999999999999'

function get(query: string): ParsedRead {
  return parseRead(parseQuery(query))
}

function requestOf(parsed: ParsedRead): ReadRequest | undefined {
  return 'request' in parsed ? parsed.request : undefined
}

function rejectionOf(parsed: ParsedRead): Rejection | undefined {
  return 'rejection' in parsed ? parsed.rejection : undefined
}

describe('the mode of a GET', () => {
  it.each([
    ['', 'catch-up'],
    [`offset=${TOKEN}`, 'catch-up'],
    ['live=long-poll&offset=-1', 'long-poll'],
    ['live=sse&offset=-1', 'sse'],
    ['live=s%73e&offset=-1', 'sse'],
  ])('of ?%s is %s', (query, mode) => {
    expect(requestOf(get(query))?.mode).toBe(mode)
  })

  it('R-005: takes no notice of parameters that it does not know', () => {
    expect(get('foo=bar&offset=-1&timeout=1&live=sse&foo=&__proto__=1')).toEqual(get('offset=-1&live=sse'))
  })

  it.each(['live=', 'live', 'live=true', 'live=SSE', 'live=long_poll', 'live=sse%00', 'live=%ff'])(
    'R-007: is refused with ?%s',
    (query) => {
      expect(rejectionOf(get(`${query}&offset=-1`))?.kind).toBe('bad-request')
    },
  )

  it.each([
    'live=sse&live=sse',
    'live=long-poll&live=sse',
    'cursor=1&cursor=1',
    'live=sse&cursor=1&cursor=2',
  ])('R-007: is refused with ?%s, which is twice', (query) => {
    expect(rejectionOf(get(`${query}&offset=-1`))?.kind).toBe('bad-request')
  })

  it.each(['long-poll', 'sse'])('R-165, R-180: is refused for %s without an offset', (mode) => {
    expect(rejectionOf(get(`live=${mode}`))?.kind).toBe('invalid-offset')
    expect(rejectionOf(get(`live=${mode}&cursor=1`))?.kind).toBe('invalid-offset')
  })
})

describe('the start of a GET', () => {
  it.each([
    ['R-033: no offset is the beginning', '', { kind: 'beginning' }, '-1'],
    ['R-032: -1 is the beginning', 'offset=-1', { kind: 'beginning' }, '-1'],
    ['-1 in escapes is the beginning', 'offset=%2D1', { kind: 'beginning' }, '-1'],
    ['now is the tail', 'offset=now', { kind: 'now' }, 'now'],
    ['a token is its position', `offset=${TOKEN}`, { kind: 'offset', generation: 0, position: 12 }, TOKEN],
    ['a token of no stream is beyond', `offset=${BEYOND}`, { kind: 'beyond' }, BEYOND],
  ])('%s', (_, query, start, startToken) => {
    expect(requestOf(get(query))).toEqual({ mode: 'catch-up', start, startToken, cursor: undefined })
  })

  it.each([
    ['R-034: an empty value', 'offset='],
    ['R-034: no value', 'offset'],
    ['R-006: two values', 'offset=-1&offset=-1'],
    ['R-006: two values of which one is empty', 'offset=&offset=-1'],
    ['R-006: two values of which one is spelled in escapes', `offset=-1&%6fffset=${TOKEN}`],
    ['R-035: a comma', `offset=${TOKEN},${TOKEN}`],
    ['R-035: an escaped comma', 'offset=0%2C0'],
    ['R-036: a space', 'offset=0%200'],
    ['R-036: a space after a sentinel', 'offset=-1%20'],
    ['R-036: a plus sign, which is no space', 'offset=+now'],
    ['R-037: a line feed after a sentinel', 'offset=-1%0A'],
    ['R-037: a carriage return after a sentinel', 'offset=now%0D'],
    ['R-037: a line feed after a token', `offset=${TOKEN}%0a`],
    ['R-037: a NUL', 'offset=now%00'],
    ['R-037: a slash', 'offset=a/b'],
    ['R-037: dots', 'offset=../../etc/passwd'],
    ['another case of a sentinel', 'offset=NOW'],
    ['another number', 'offset=-2'],
    ['a plain number', 'offset=0'],
    ['a token that is escaped twice', 'offset=%252D1'],
    ['an escape that does not decode', 'offset=%ff'],
  ])('is refused with %s', (_, query) => {
    expect(rejectionOf(get(query))?.kind).toBe('invalid-offset')
    expect(rejectionOf(get(`${query}&live=sse`))?.kind).toBe('invalid-offset')
  })

  it('is judged before the mode', () => {
    expect(rejectionOf(get('offset=bad&live=bad'))?.kind).toBe('invalid-offset')
    expect(rejectionOf(get('offset=&offset=&live=bad&cursor=&cursor='))?.kind).toBe('invalid-offset')
  })
})

describe('the cursor of a GET', () => {
  it.each([
    ['', undefined],
    ['cursor=12', '12'],
    ['cursor=', ''],
    ['cursor=abc', 'abc'],
    ['cursor=%ff', undefined],
  ])('R-172: is never an error: ?%s', (query, cursor) => {
    expect(requestOf(get(`${query}&offset=-1&live=long-poll`))).toMatchObject({ cursor })
  })
})

describe('any GET', () => {
  const name = fc.constantFrom('offset', 'live', 'cursor', 'Offset', '%6fffset', '', 'foo', '%ff')
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '-1',
      'now',
      'sse',
      'long-poll',
      '12',
      TOKEN,
      '-1%0a',
      '%00',
      '%ff',
      '%',
      '=',
      'a,b',
      ' ',
    ),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }).map(encodeURIComponent),
  )
  const query = fc.oneof(
    fc
      .array(fc.tuple(name, value), { maxLength: 4 })
      .map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
    fc.string({ unit: 'binary' }),
    fc.webQueryParameters(),
  )

  it('is a request, or a refusal with status 400 that says what is wrong', () => {
    const property = fc.property(query, (text) => {
      const rejection = rejectionOf(get(text))
      const problem = rejection && toProblem(rejection)
      return problem === undefined || (problem.status === 400 && problem.detail !== '')
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is a request only from a sentinel or a token, which an ETag can quote', () => {
    const property = fc.property(query, (text) => {
      const request = requestOf(get(text))
      return request === undefined || /^(?:-1|now|[0-9]{16}_[0-9]{16})$/.test(request.startToken)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
