import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CreateCommand } from './command.ts'
import { type ParsedCreate, parseCreate } from './parse-create.ts'
import { toProblem } from './problem.ts'
import type { Rejection } from './rejection.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import { streamId } from './stream-state.ts'

type Headers = Readonly<Record<string, string>>

const runs = { seed: 20_241_009, numRuns: 5000 }
const encoder = new TextEncoder()
const ZERO = '0000000000000000_0000000000000000'
const from: Headers = { 'stream-forked-from': '/v1/stream/source' }

function path(): StreamPath {
  const parsed = parseStreamPath('a')
  if (parsed.kind !== 'stream') throw new Error('no stream path')
  return parsed.path
}

function put(headers: Headers, body: Uint8Array = new Uint8Array(0)): ParsedCreate {
  const context = { path: path(), id: streamId('1'), streamRoot: '/v1/stream/' }
  return parseCreate(context, (name) => headers[name], body)
}

function commandOf(parsed: ParsedCreate): CreateCommand | undefined {
  return 'command' in parsed ? parsed.command : undefined
}

function rejectionOf(parsed: ParsedCreate): Rejection | undefined {
  return 'rejection' in parsed ? parsed.rejection : undefined
}

describe('a PUT', () => {
  it('without headers asks for a plain, open, empty stream of the default type that does not expire', () => {
    expect(put({})).toEqual({
      command: {
        kind: 'create',
        path: 'a',
        id: '1',
        contentType: undefined,
        mediaType: undefined,
        expiry: undefined,
        closed: false,
        body: new Uint8Array(0),
        fork: undefined,
      },
    })
  })

  it('keeps its Content-Type verbatim, and compares it by type and subtype', () => {
    expect(commandOf(put({ 'content-type': 'Text/PLAIN; charset=UTF-8' }))).toMatchObject({
      contentType: 'Text/PLAIN; charset=UTF-8',
      mediaType: 'text/plain',
    })
  })

  it.each(['', 'text', 'a b/c', 'text/plain, text/html'])('is refused with the Content-Type %j', (type) => {
    expect(rejectionOf(put({ 'content-type': type }))?.kind).toBe('bad-request')
  })

  it('with an empty Content-Type is not told that it has a body', () => {
    const detail = rejectionOf(put({ 'content-type': '' }))
    expect(detail).toMatchObject({ detail: expect.stringMatching(/^Content-Type must be a media type/) })
  })

  it.each([
    ['true', true],
    ['TRUE', true],
    ['false', false],
    ['1', false],
    ['', false],
  ])('R-009: with Stream-Closed: %s', (value, closed) => {
    expect(commandOf(put({ 'stream-closed': value }))?.closed).toBe(closed)
  })

  it('carries its body as it came', () => {
    const body = encoder.encode('{ not looked at')
    expect(commandOf(put({ 'content-type': 'application/json' }, body))?.body).toBe(body)
  })
})

describe('the expiry of a PUT', () => {
  it('is a TTL or an instant', () => {
    expect(commandOf(put({ 'stream-ttl': '60' }))?.expiry).toEqual({ kind: 'ttl', ttlSeconds: 60 })
    expect(commandOf(put({ 'stream-expires-at': '2030-01-31T12:00:00Z' }))?.expiry).toEqual({
      kind: 'at',
      instantMs: Date.UTC(2030, 0, 31, 12),
      text: '2030-01-31T12:00:00Z',
    })
  })

  it('R-227: is refused when both are there, even if one is malformed', () => {
    expect(rejectionOf(put({ 'stream-ttl': '60', 'stream-expires-at': '2030-01-31T12:00:00Z' }))?.kind).toBe(
      'bad-request',
    )
    expect(rejectionOf(put({ 'stream-ttl': '', 'stream-expires-at': '' }))?.kind).toBe('bad-request')
  })

  it.each(['abc', '-1', '', '00060', '+60', '60.5', '1e3', '9007199254740992'])(
    'R-228, R-229: is refused with Stream-TTL: %s',
    (value) => {
      expect(rejectionOf(put({ 'stream-ttl': value }))?.kind).toBe('bad-request')
    },
  )

  it.each(['', 'tomorrow', '2030-01-31', '2030-01-31T12:00:00', '2030-02-30T12:00:00Z'])(
    'R-231, R-233: is refused with Stream-Expires-At: %s',
    (value) => {
      expect(rejectionOf(put({ 'stream-expires-at': value }))?.kind).toBe('bad-request')
    },
  )

  it('R-233: may be at once, or have passed', () => {
    expect(commandOf(put({ 'stream-ttl': '0' }))?.expiry).toEqual({ kind: 'ttl', ttlSeconds: 0 })
    expect(commandOf(put({ 'stream-expires-at': '2001-01-01T00:00:00Z' }))?.expiry?.kind).toBe('at')
  })
})

describe('a PUT of a fork', () => {
  it('leaves its source at the tail, unless it says where', () => {
    expect(commandOf(put(from))?.fork).toEqual({
      sourcePath: 'source',
      forkAt: undefined,
      subOffset: 0,
    })
  })

  it('R-246: leaves its source at a fork offset', () => {
    const offset = { 'stream-fork-offset': '0000000000000000_0000000000000012' }
    expect(commandOf(put({ ...from, ...offset }))?.fork?.forkAt).toEqual({ generation: 0, position: 12 })
  })

  it('R-030: takes the zero offset as the start of the source', () => {
    expect(commandOf(put({ ...from, 'stream-fork-offset': ZERO }))?.fork?.forkAt).toEqual({
      generation: 0,
      position: 0,
    })
  })

  it('R-031: takes an offset that no stream reaches for what it is', () => {
    const offset = { 'stream-fork-offset': '9999999999999999_9999999999999999' }
    expect(commandOf(put({ ...from, ...offset }))?.fork?.forkAt?.position).toBe(Number.POSITIVE_INFINITY)
  })

  it.each(['-1', 'now', '', 'abc', '12', `${ZERO}, ${ZERO}`, `${ZERO}0`, '0_0'])(
    'R-249: is refused with Stream-Fork-Offset: %s',
    (value) => {
      expect(rejectionOf(put({ ...from, 'stream-fork-offset': value }))?.kind).toBe('bad-request')
    },
  )

  it.each(['-1', 'abc', '1.5', '05', '+1', '', '1, 1', '9007199254740992'])(
    'R-264: is refused with Stream-Fork-Sub-Offset: %s',
    (value) => {
      const headers = { ...from, 'stream-fork-offset': ZERO, 'stream-fork-sub-offset': value }
      expect(rejectionOf(put(headers))?.kind).toBe('bad-request')
    },
  )

  it('R-260: takes a sub-offset of 0 as if there was none', () => {
    expect(put({ ...from, 'stream-fork-sub-offset': '0' })).toEqual(put(from))
    expect(commandOf(put({ ...from, 'stream-fork-sub-offset': '3' }))?.fork?.subOffset).toBe(3)
  })

  it('R-250: is refused with Stream-Fork-Offset when it names no source', () => {
    expect(rejectionOf(put({ 'stream-fork-offset': ZERO }))?.kind).toBe('bad-request')
  })

  it.each(['0', '3'])(
    'R-266: is refused with Stream-Fork-Sub-Offset: %s when it names no source',
    (value) => {
      expect(rejectionOf(put({ 'stream-fork-sub-offset': value }))?.kind).toBe('bad-request')
    },
  )

  it('names its source in any spelling of the path', () => {
    const fork = commandOf(put({ 'stream-forked-from': '/v1/stream/%73ource/%2f' }))?.fork
    expect(fork?.sourcePath).toBe('source/%2F')
  })

  it.each([
    ['another root', '/v2/stream/source'],
    ['no root', 'source'],
    ['the root only', '/v1/stream/'],
    ['an absolute URL', 'http://localhost:4437/v1/stream/source'],
    ['a dot segment', '/v1/stream/x/../source'],
    ['a control path', '/v1/stream/__ds/source'],
    ['a control path in disguise', '/v1/stream/%5F%5Fds'],
    ['nothing', ''],
    ['a control character', '/v1/stream/a\u0000'],
  ])('R-248: does not find its source at %s', (_, source) => {
    expect(rejectionOf(put({ 'stream-forked-from': source }))).toEqual({ kind: 'fork-source-not-found' })
  })
})

describe('a PUT with a very long header', () => {
  const units = ['0', '9', ' ', ';', ' ;', '"', 'a/b;', '=', '-', '%2e', '2030-01-31T12:00:00.0', '\u00e9']

  it.each([
    'content-type',
    'stream-ttl',
    'stream-expires-at',
    'stream-fork-offset',
    'stream-fork-sub-offset',
  ])('is refused for %s', (name) => {
    const answers = units.map((unit) => put({ ...from, [name]: unit.repeat(100_000) }))
    expect(answers.map((answer) => rejectionOf(answer)?.kind)).toEqual(units.map(() => 'bad-request'))
  })

  it('does not find its source when that is in it', () => {
    const answers = units.map((unit) => put({ 'stream-forked-from': `/v1/stream/${unit.repeat(100_000)}` }))
    expect(answers.map((answer) => rejectionOf(answer)?.kind)).toEqual(
      units.map(() => 'fork-source-not-found'),
    )
  })
})

describe('any PUT', () => {
  const name = fc.constantFrom(
    'content-type',
    'stream-closed',
    'stream-ttl',
    'stream-expires-at',
    'stream-forked-from',
    'stream-fork-offset',
    'stream-fork-sub-offset',
    'stream-seq',
    'producer-id',
  )
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      'now',
      'true',
      'text/plain',
      'application/json',
      ZERO,
      '/v1/stream/source',
    ),
    fc.constantFrom(
      '2030-01-31T12:00:00Z',
      '2030-01-31',
      '9999999999999999_9999999999999999',
      '/v1/stream/__ds',
    ),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ unit: fc.constantFrom(...'/;=" \t,\\ax0_-:TZ%.'), maxLength: 30 }),
    fc.webPath().map((source) => `/v1/stream${source}`),
  )
  const headers = fc.dictionary(name, value, { noNullPrototype: true, maxKeys: 5 })
  const body = fc.uint8Array({ maxLength: 32 })

  it('is a command, or a refusal with a 4xx status that says what is wrong', () => {
    const property = fc.property(headers, body, (given, bytes) => {
      const rejection = rejectionOf(put(given, bytes))
      const problem = rejection && toProblem(rejection)
      return problem === undefined || (problem.status >= 400 && problem.status < 500 && problem.detail !== '')
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is a command only if every part of it is in order', () => {
    const property = fc.property(headers, body, (given, bytes) => {
      const command = commandOf(put(given, bytes))
      if (command === undefined) return true
      const { fork, contentType, mediaType, expiry } = command
      const isForkInOrder =
        fork === undefined
          ? !Object.keys(given).some((header) => header.startsWith('stream-fork'))
          : Number.isSafeInteger(fork.subOffset) && (fork.forkAt?.position ?? 0) >= 0
      const isExpiryInOrder =
        expiry?.kind === 'at'
          ? Number.isSafeInteger(expiry.instantMs)
          : expiry?.kind !== 'ttl' || Number.isSafeInteger(expiry.ttlSeconds)
      return isForkInOrder && isExpiryInOrder && (contentType === undefined) === (mediaType === undefined)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
