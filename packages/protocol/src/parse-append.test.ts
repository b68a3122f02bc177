import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AppendCommand } from './command.ts'
import { PROTOCOL_LIMITS } from './limits.ts'
import { type ParsedAppend, parseAppend } from './parse-append.ts'
import { toProblem } from './problem.ts'
import type { Rejection } from './rejection.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'

type Headers = Readonly<Record<string, string>>

const runs = { seed: 20_241_009, numRuns: 5000 }
const encoder = new TextEncoder()
const text: Headers = { 'content-type': 'text/plain' }
const json: Headers = { 'content-type': 'application/json' }
const closing: Headers = { 'stream-closed': 'true' }
const stamp: Headers = { 'producer-id': 'p', 'producer-epoch': '2', 'producer-seq': '7' }

function path(): StreamPath {
  const parsed = parseStreamPath('a')
  if (parsed.kind !== 'stream') throw new Error('no stream path')
  return parsed.path
}

function post(headers: Headers, body: string | Uint8Array = ''): ParsedAppend {
  const bytes = typeof body === 'string' ? encoder.encode(body) : body
  return parseAppend(path(), (name) => headers[name], bytes)
}

function commandOf(parsed: ParsedAppend): AppendCommand | undefined {
  return 'command' in parsed ? parsed.command : undefined
}

function rejectionOf(parsed: ParsedAppend): Rejection | undefined {
  return 'rejection' in parsed ? parsed.rejection : undefined
}

/** The kind of a refusal, or its detail when all it says is that the request is bad. */
function refusalOf(parsed: ParsedAppend): string {
  const rejection = rejectionOf(parsed)
  return rejection === undefined
    ? 'accepted'
    : rejection.kind === 'bad-request'
      ? rejection.detail
      : rejection.kind
}

describe('a POST', () => {
  it('with a body is an append', () => {
    expect(post(text, 'abc')).toEqual({
      command: {
        kind: 'append',
        path: 'a',
        mediaType: 'text/plain',
        payload: { kind: 'bytes', bytes: encoder.encode('abc'), messages: 1 },
        closes: false,
        producer: undefined,
        streamSeq: undefined,
      },
    })
  })

  it('with a body and Stream-Closed appends and closes', () => {
    expect(commandOf(post({ ...text, ...closing }, 'abc'))).toMatchObject({
      closes: true,
      payload: { kind: 'bytes' },
    })
  })

  it.each([{}, text, { 'content-type': 'not a type' }, { 'content-type': '' }])(
    'R-117: without a body closes only, whatever its Content-Type: %j',
    (headers: Headers) => {
      expect(post({ ...headers, ...closing })).toEqual({
        command: {
          kind: 'append',
          path: 'a',
          mediaType: undefined,
          payload: { kind: 'none' },
          closes: true,
          producer: undefined,
          streamSeq: undefined,
        },
      })
    },
  )

  it.each(['false', '1', 'yes', '', 'true, true'])('R-009: takes Stream-Closed: %s as if absent', (value) => {
    expect(commandOf(post({ ...text, 'stream-closed': value }, 'abc'))?.closes).toBe(false)
    expect(refusalOf(post({ ...text, 'stream-closed': value }))).toBe('empty-body')
  })

  it.each(['true', 'TRUE', 'True'])('R-009: closes with Stream-Closed: %s', (value) => {
    expect(commandOf(post({ 'stream-closed': value }))?.closes).toBe(true)
  })

  it('R-061: is compared by type and subtype', () => {
    expect(commandOf(post({ 'content-type': 'Text/PLAIN; charset=utf-8' }, 'a'))?.mediaType).toBe(
      'text/plain',
    )
  })

  it('carries producer and Stream-Seq', () => {
    const command = commandOf(post({ ...text, ...stamp, 'stream-seq': '00009' }, 'abc'))
    expect(command).toMatchObject({ producer: { id: 'p', epoch: 2, seq: 7 }, streamSeq: '00009' })
  })
})

describe('a POST to JSON', () => {
  it.each([
    ['one value', '{"a":1}', '{"a":1},\n', 1],
    ['an array', '[1,2]', '1,\n2,\n', 2],
    ['an array in an array', '[[]]', '[],\n', 1],
  ])('holds messages: %s', (_, body, stored, messages) => {
    expect(commandOf(post(json, body))?.payload).toEqual({
      kind: 'bytes',
      bytes: encoder.encode(stored),
      messages,
    })
  })

  it('R-215: counts as JSON with a charset', () => {
    const command = commandOf(post({ 'content-type': 'Application/JSON; charset=utf-8' }, '[1,2]'))
    expect(command).toMatchObject({ mediaType: 'application/json', payload: { messages: 2 } })
  })

  it.each(['[]', ' [ ] '])('R-214: is known to hold no message: %j', (body) => {
    expect(commandOf(post(json, body))?.payload).toEqual({ kind: 'empty-array' })
  })

  it.each([
    ['broken JSON', encoder.encode('{')],
    ['two values', encoder.encode('1 2')],
    ['whitespace only', encoder.encode(' \n')],
    ['invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
  ])('R-225: is known to be invalid, and where: %s', (_, body) => {
    expect(commandOf(post(json, body))?.payload).toEqual({
      kind: 'invalid-json',
      detail: expect.stringMatching(/^Expected .+ \(at byte \d+ of the body\)$/),
    })
  })

  it('is not looked at for other types', () => {
    expect(commandOf(post({ 'content-type': 'application/ndjson' }, '{'))?.payload.kind).toBe('bytes')
  })
})

describe('the producer headers', () => {
  const { 'producer-id': id = '', 'producer-epoch': epoch = '', 'producer-seq': seq = '' } = stamp

  it.each<[string, Headers]>([
    ['Id only', { 'producer-id': id }],
    ['Epoch only', { 'producer-epoch': epoch }],
    ['Seq only', { 'producer-seq': seq }],
    ['Id and Epoch', { 'producer-id': id, 'producer-epoch': epoch }],
    ['Id and Seq', { 'producer-id': id, 'producer-seq': seq }],
    ['Epoch and Seq', { 'producer-epoch': epoch, 'producer-seq': seq }],
    ['Seq and an empty Id', { 'producer-id': '', 'producer-seq': seq }],
  ])('R-101: are refused unless all three are there: %s', (_, headers) => {
    expect(refusalOf(post({ ...text, ...headers }, 'abc'))).toMatch('all three or none')
    expect(refusalOf(post({ ...closing, ...headers }))).toMatch('all three or none')
  })

  it.each(['-1', '+1', '1.0', '1e3', '0x1', 'abc', '', '01', '1, 1', '1 2'])(
    'R-102: are refused with the number %j',
    (value) => {
      expect(rejectionOf(post({ ...text, ...stamp, 'producer-epoch': value }, 'abc'))?.kind).toBe(
        'bad-request',
      )
      expect(rejectionOf(post({ ...text, ...stamp, 'producer-seq': value }, 'abc'))?.kind).toBe('bad-request')
    },
  )

  it.each(['9007199254740992', '9999999999999999', '18446744073709551616'])(
    'R-103: refuse producer numbers above 2^53-1: %s',
    (value) => {
      expect(rejectionOf(post({ ...text, ...stamp, 'producer-epoch': value }, 'abc'))?.kind).toBe(
        'bad-request',
      )
      expect(rejectionOf(post({ ...text, ...stamp, 'producer-seq': value }, 'abc'))?.kind).toBe('bad-request')
    },
  )

  it('R-103: take producer numbers up to 2^53-1', () => {
    const greatest = { 'producer-epoch': '9007199254740991', 'producer-seq': '9007199254740991' }
    expect(commandOf(post({ ...text, ...stamp, ...greatest }, 'abc'))?.producer).toEqual({
      id: 'p',
      epoch: Number.MAX_SAFE_INTEGER,
      seq: Number.MAX_SAFE_INTEGER,
    })
  })

  it('R-104: are refused with an empty Producer-Id, or one beyond the limit', () => {
    const { maxProducerIdBytes } = PROTOCOL_LIMITS
    const idOf = (length: number): Headers => ({ ...text, ...stamp, 'producer-id': 'x'.repeat(length) })
    expect(refusalOf(post(idOf(0), 'abc'))).toMatch('Producer-Id')
    expect(commandOf(post(idOf(maxProducerIdBytes), 'abc'))?.producer?.id).toHaveLength(maxProducerIdBytes)
    expect(refusalOf(post(idOf(maxProducerIdBytes + 1), 'abc'))).toMatch('Producer-Id')
  })
})

describe('Stream-Seq', () => {
  it('is refused when it is empty or beyond the limit', () => {
    const { maxStreamSeqBytes } = PROTOCOL_LIMITS
    const seqOf = (length: number): Headers => ({ ...text, 'stream-seq': 'x'.repeat(length) })
    expect(refusalOf(post(seqOf(0), 'abc'))).toMatch('Stream-Seq')
    expect(commandOf(post(seqOf(maxStreamSeqBytes), 'abc'))?.streamSeq).toHaveLength(maxStreamSeqBytes)
    expect(refusalOf(post(seqOf(maxStreamSeqBytes + 1), 'abc'))).toMatch('Stream-Seq')
  })
})

describe('what is wrong with a POST', () => {
  it('R-076: is an empty body that does not close', () => {
    expect(rejectionOf(post(text))).toEqual({ kind: 'empty-body' })
    expect(rejectionOf(post({ ...text, ...stamp }))).toEqual({ kind: 'empty-body' })
  })

  it.each([undefined, '', 'text', 'text/', 'text/plain, text/html', 'a b/c'])(
    'R-077: is a body with the Content-Type %s',
    (type) => {
      const headers: Headers = type === undefined ? {} : { 'content-type': type }
      expect(refusalOf(post(headers, 'abc'))).toMatch('Content-Type')
    },
  )

  // The order of the checks before a stream is looked at. Each row has every fault from one on.
  const badType: Headers = { 'content-type': 'nonsense' }
  it.each<[string, Headers, string, RegExp | string]>([
    [
      'an incomplete producer',
      { 'producer-id': '', 'stream-seq': '', ...badType },
      'abc',
      'all three or none',
    ],
    [
      'an incomplete producer, then no body',
      { 'producer-seq': 'x', 'stream-seq': '' },
      '',
      'all three or none',
    ],
    [
      'an empty Producer-Id',
      { ...stamp, 'producer-id': '', 'stream-seq': '', ...badType },
      'abc',
      'Producer-Id',
    ],
    ['a bad number', { ...stamp, 'producer-seq': '-1', 'stream-seq': '', ...badType }, 'abc', 'Producer-Seq'],
    ['a bad number, then no body', { ...stamp, 'producer-epoch': '-1' }, '', 'Producer-Epoch'],
    ['an empty Stream-Seq', { ...stamp, 'stream-seq': '', ...badType }, 'abc', 'Stream-Seq'],
    ['an empty Stream-Seq, then no body', { ...stamp, 'stream-seq': '', ...badType }, '', 'Stream-Seq'],
    ['no body', { ...stamp, ...badType }, '', /^empty-body$/],
    ['no Content-Type', { ...stamp, ...closing }, '{', 'Content-Type'],
  ])('is its first fault in the order of the protocol: %s', (_, headers, body, refusal) => {
    expect(refusalOf(post(headers, body))).toMatch(refusal)
  })
})

describe('a POST with a very long header', () => {
  const units = ['0', '9', ' ', ';', ' ;', '"', '\\\\', 'a', 'a/', 'a/b;', '=', ',', '\u00e9']

  it.each(['content-type', 'stream-seq', 'producer-id', 'producer-epoch', 'producer-seq'])(
    'is refused for %s',
    (name) => {
      const answers = units.map((unit) => post({ ...text, ...stamp, [name]: unit.repeat(100_000) }, 'abc'))
      expect(answers.map((answer) => rejectionOf(answer)?.kind)).toEqual(units.map(() => 'bad-request'))
    },
  )
})

describe('any POST', () => {
  const name = fc.constantFrom(
    'content-type',
    'stream-closed',
    'stream-seq',
    'producer-id',
    'producer-epoch',
    'producer-seq',
    'stream-ttl',
  )
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      'true',
      'TRUE',
      'p',
      'text/plain',
      'application/json',
      'a/b; c="d"',
      '1, 1',
    ),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ unit: fc.constantFrom(...'/;=" \t,\\ax0'), maxLength: 12 }),
  )
  const body = fc.oneof(
    fc.constantFrom('', '[]', '{}', '{', '1 2', '"\\u12"').map((given) => encoder.encode(given)),
    fc.uint8Array({ maxLength: 64 }),
    fc.json().map((given) => encoder.encode(given)),
  )
  const request = fc.tuple(fc.dictionary(name, value, { noNullPrototype: true }), body)

  it('is a command, or a refusal with a 4xx status that says what is wrong', () => {
    const property = fc.property(request, ([headers, bytes]) => {
      const rejection = rejectionOf(post(headers, bytes))
      const problem = rejection && toProblem(rejection)
      return problem === undefined || (problem.status >= 400 && problem.status < 500 && problem.detail !== '')
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is a command only if every part of it is in order', () => {
    const property = fc.property(request, ([headers, bytes]) => {
      const command = commandOf(post(headers, bytes))
      if (command === undefined) return true
      const { payload, producer, streamSeq, mediaType, closes } = command
      const isBodyInOrder =
        bytes.length === 0
          ? payload.kind === 'none' && closes && mediaType === undefined
          : payload.kind !== 'none' && mediaType !== undefined
      const isProducerInOrder =
        producer === undefined
          ? !Object.keys(headers).some((header) => header.startsWith('producer-'))
          : producer.id !== '' && Number.isSafeInteger(producer.epoch) && Number.isSafeInteger(producer.seq)
      const holdsMessages = payload.kind !== 'bytes' || (payload.bytes.length > 0 && payload.messages > 0)
      return isBodyInOrder && isProducerInOrder && holdsMessages && streamSeq !== ''
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
