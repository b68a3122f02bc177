/**
 * Requests nobody would write by hand, drawn from fixed seeds: whatever comes in, every answer is well-formed, no
 * answer is a failure of the server, none is owed for ever, and no reader is left behind.
 */
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { membersOf, type Reply, rawExchange, startTestServer } from './test-server.fixture.ts'

const SEED = 4437
const options = { longPollTimeoutMs: 3, maxBodyBytes: 20_000, shutdownGraceMs: 5000 }
const server = await startTestServer(options)
afterAll(() => server.close())

const ROOT = '/v1/stream'

/** A value that one in four times is anything at all that a header field or URL can carry. */
function mostly(...values: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: latin1 })
}

const latin1 = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes).replaceAll('\x7f', '~'))

const integer = mostly(
  '0',
  '1',
  '2',
  '3',
  '9007199254740991',
  '9007199254740992',
  '-1',
  '01',
  '1.0',
  '',
  ' 2 ',
)
const offset = mostly(
  ...['-1', 'now', '', '0000000000000000_0000000000000000', '0000000000000000_0000000000000003'],
  ...['0000000000000000_0000000000000999', '9999999999999999_9999999999999999', '-1,now', '%00', 'NOW'],
)
const type = mostly(
  ...['text/plain', 'application/json', 'text/plain; charset=utf-8', 'application/octet-stream'],
  ...['APPLICATION/JSON', 'text', '', 'text/plain, application/json'],
)
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')

/** Headers of the protocol; each is absent more often than not, and `valid` ones keep requests from all failing. */
const headers = fc.record(
  {
    'content-type': type,
    'stream-ttl': mostly('3600', '1', '0', '', '1e3'),
    'stream-expires-at': mostly('2999-01-01T00:00:00Z', '1999-01-01T00:00:00Z', '2999-01-01'),
    'stream-closed': mostly('true', 'TRUE', 'false', ''),
    'stream-seq': mostly('a', 'b', 'c', '1', '2', ''),
    'stream-forked-from': fc.oneof(
      name.map((source) => `${ROOT}/${source}`),
      latin1,
    ),
    'stream-fork-offset': offset,
    'stream-fork-sub-offset': integer,
    'if-none-match': mostly('*', '"x"', ''),
    'content-encoding': mostly('identity', 'gzip', ''),
    host: mostly('localhost', '127.0.0.1:4437', '[::1]', 'evil.com', ''),
    origin: mostly('http://localhost:3000', 'http://evil.com', 'null', ''),
    'sec-fetch-site': mostly('cross-site', 'same-origin'),
    'content-length': mostly('0', '5', '99999999'),
  },
  { requiredKeys: [] },
)
const producer = fc.record(
  { 'producer-id': mostly('p', 'q', ''), 'producer-epoch': integer, 'producer-seq': integer },
  { requiredKeys: [] },
)
const stamp = fc.record({
  'producer-id': fc.constantFrom('p', 'q'),
  'producer-epoch': fc.constantFrom('0', '1', '2'),
  'producer-seq': fc.constantFrom('0', '1', '2', '3'),
})
const valid = fc.constantFrom({ 'content-type': 'text/plain' }, { 'content-type': 'application/json' })
const allHeaders = fc
  .tuple(
    fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 3, arbitrary: headers }),
    fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, producer, stamp),
    fc.oneof({ weight: 1, arbitrary: fc.constant({}) }, { weight: 2, arbitrary: valid }),
  )
  .map(([some, producing, typed]) => ({ ...typed, ...some, ...producing }))

const segment = fc.oneof(
  { weight: 4, arbitrary: name },
  fc.constantFrom(
    '',
    '.',
    '..',
    '%2e',
    '__ds',
    '%5F%5Fds',
    'subscriptions',
    '%',
    '%00',
    '%2F',
    'é',
    'a b',
    '"',
  ),
  fc.string({ maxLength: 12 }).map(encodeURIComponent),
  fc.constantFrom('x'.repeat(1025), 'y'.repeat(9000)),
)
const path = fc.oneof(
  { weight: 6, arbitrary: name.map((stream) => `${ROOT}/${stream}`) },
  { weight: 2, arbitrary: fc.array(segment, { maxLength: 4 }).map((all) => `${ROOT}/${all.join('/')}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('/', '/healthz', '/readyz', '/v1', '/v1/stream', '//', '/v1/stream/'),
  },
)
const parameter = fc.oneof(
  { weight: 3, arbitrary: offset.map((value) => `offset=${value}`) },
  { weight: 3, arbitrary: mostly('long-poll', 'sse', 'poll', '').map((value) => `live=${value}`) },
  mostly('1', '99999999999', '').map((value) => `cursor=${value}`),
  latin1,
)
const query = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc.array(parameter, { minLength: 1, maxLength: 4 }).map((all) => `?${all.join('&')}`),
  },
)
const body = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom(
    '',
    'text',
    '[]',
    '[1,2,3]',
    '{"a":[true,null]}',
    '{"a":',
    '"\\ud800"',
    '[[[[]]]]',
    '1 2',
    '\0',
  ),
  fc.json().map((text) => text.slice(0, 5000)),
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom('x'.repeat(20_000), 'x'.repeat(20_001)),
)
const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('GET', 'GET', 'POST', 'POST', 'PUT', 'PUT', 'DELETE', 'HEAD') },
  { weight: 1, arbitrary: fc.constantFrom('OPTIONS', 'PATCH', 'BREW', 'PROPFIND') },
)

/** Over TCP an answer to HEAD cannot be told from a broken one without knowing what was asked. */
const methodOverTcp = method.filter((drawn) => drawn !== 'HEAD')

/** Gives up on what takes longer than anything here may take. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), 5000)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The complaints about one answer, none if it is as it has to be. */
function complaintsAbout(asked: string, { status, headers: fields, bytes, text }: Reply): readonly string[] {
  const complaints: string[] = []
  const demand = (isMet: boolean, what: string): void => {
    if (!isMet) complaints.push(`${what} in ${status} ${JSON.stringify([...fields])} ${text.slice(0, 300)}`)
  }
  const isBusy = status === 503 && fields.has('retry-after')
  demand(status < 500 || isBusy, 'a failure')
  demand(fields.get('x-content-type-options') === 'nosniff', 'no nosniff')
  const next = fields.get('stream-next-offset')
  demand(next === null || /^\d{16}_\d{16}$/.test(next), 'no offset')
  if (asked === 'HEAD' || status === 204 || status === 304) demand(bytes.length === 0, 'a body')
  else {
    const length = fields.get('content-length')
    demand(length === null || length === String(bytes.length), 'another length')
    if (status >= 400) demand(isProblem(fields, text, status), 'no problem document')
  }
  return complaints
}

function isProblem(fields: Headers, text: string, status: number): boolean {
  if (fields.get('content-type') !== 'application/problem+json') return false
  const members = membersOf(JSON.parse(text))
  const texts = ['type', 'title', 'code', 'detail'].map((member) => members.get(member))
  return texts.every((member) => typeof member === 'string') && members.get('status') === status
}

/** The whole answer; of a live one the first bytes, and then its reader leaves. */
async function receive(response: Response): Promise<Reply> {
  const { status, headers: fields } = response
  const isLive = fields.get('content-type') === 'text/event-stream'
  const bytes = isLive ? await firstBytes(response) : new Uint8Array(await response.arrayBuffer())
  const text = new TextDecoder().decode(bytes)
  return { status, headers: fields, bytes, text, json: (): unknown => JSON.parse(text) }
}

async function firstBytes(response: Response): Promise<Uint8Array> {
  const reader = response.body?.getReader()
  const first = await reader?.read()
  await reader?.cancel()
  return first?.value ?? new Uint8Array(0)
}

describe('random requests', () => {
  it('are all answered in form through handler.fetch', async () => {
    const seen = new Set<number>()
    const request = fc.record({ method, path, query, headers: allHeaders, body })
    const property = fc.asyncProperty(request, async (drawn) => {
      const asked = toRequest(drawn)
      const reply = await inTime(server.server.handler.fetch(asked).then(receive))
      seen.add(reply.status)
      expect(complaintsAbout(drawn.method, reply)).toEqual([])
    })
    await fc.assert(property, { seed: SEED, numRuns: 2000, endOnFailure: true })
    await server.untilReaders(0)
    expect(server.server.statistics()).toMatchObject({ readers: 0, pendingCommits: 0 })
    expect(server.errors).toEqual([])
    // The draw is worth something only if it gets beyond the first checks.
    expect([...seen]).toEqual(
      expect.arrayContaining([200, 201, 204, 304, 400, 403, 404, 405, 409, 413, 415, 421]),
    )
  }, 60_000)

  it('are all answered in form over TCP', async () => {
    const seen = new Set<number>()
    const request = fc.record({ method: methodOverTcp, path, query, headers: allHeaders, body })
    const property = fc.asyncProperty(request, async (drawn) => {
      const { replies } = await inTime(rawExchange(server.port, toBytes(drawn), { afterwards: 'end' }))
      const others = replies.filter(({ status }) => status !== 100)
      for (const { status } of others) seen.add(status)
      expect(others.flatMap((reply) => complaintsAbout(drawn.method, reply))).toEqual([])
    })
    await fc.assert(property, { seed: SEED + 1, numRuns: 300, endOnFailure: true })
    await server.untilReaders(0)
    expect(server.server.statistics()).toMatchObject({ readers: 0, pendingCommits: 0 })
    expect(server.errors).toEqual([])
    expect([...seen]).toEqual(expect.arrayContaining([200, 201, 204, 400, 403, 404, 405, 409, 421]))
  }, 60_000)
})

function toRequest(drawn: Drawn): Request {
  const { method: asked, body: payload } = drawn
  const hasBody = payload !== undefined && asked !== 'GET' && asked !== 'HEAD'
  const init = { method: asked, headers: fieldsOf(drawn), ...(hasBody && { body: Buffer.from(payload) }) }
  return new Request(`http://localhost${drawn.path}${drawn.query}`, init)
}

function fieldsOf(drawn: Drawn): [string, string][] {
  return Object.entries(drawn.headers).map(([field, value]) => [field, value ?? ''])
}

interface Drawn {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string | Uint8Array | undefined
}

/** A request in bytes; its length is as drawn, which is mostly wrong, or as it is. */
function toBytes(drawn: Drawn): Uint8Array {
  const payload = Buffer.from(drawn.body ?? '')
  const usual = { host: 'localhost', 'content-length': String(payload.length) }
  const fields = new Map([...Object.entries(usual), ...fieldsOf(drawn)])
  const lines = [...fields].map(([field, value]) => `${field}: ${value}\r\n`)
  const start = `${drawn.method} ${drawn.path}${drawn.query.replaceAll(/[^\x21-\x7e]/g, encodeURIComponent)} HTTP/1.1\r\n`
  return Buffer.concat([Buffer.from(`${start}${lines.join('')}\r\n`, 'latin1'), payload])
}

describe('damaged requests', () => {
  const damage = fc.record({
    kind: fc.constantFrom('replace', 'insert', 'remove', 'repeat', 'cut'),
    at: fc.nat(400),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 4 }),
      fc.constantFrom('\r\n', '\n', '\r\n\r\n', ': ', ' ', '\0', 'chunked').map((text) => Buffer.from(text)),
    ),
  })

  it('are refused or answered in form, one connection each, while others are served', async () => {
    const plain = fc
      .tuple(valid, fc.oneof(fc.constant({}), stamp))
      .map(([typed, by]) => ({ ...typed, ...by }))
    const target = name.map((stream) => `${ROOT}/${stream}`)
    const request = fc.record({ method: methodOverTcp, path: target, query, headers: plain, body })
    const property = fc.asyncProperty(
      request,
      fc.array(damage, { minLength: 1, maxLength: 2 }),
      async (drawn, hits) => {
        const damaged = hits.reduce<Uint8Array>(strike, toBytes(drawn))
        const { replies } = await inTime(rawExchange(server.port, damaged, { afterwards: 'end' }))
        const others = replies.filter(({ status }) => status !== 100)
        expect(others.flatMap((reply) => complaintsAbout(drawn.method, reply))).toEqual([])
      },
    )
    await fc.assert(property, { seed: SEED + 2, numRuns: 400, endOnFailure: true })
    const served = await server.request('GET', '/readyz')
    await server.untilReaders(0)
    expect([served.status, server.errors]).toEqual([200, []])
  }, 60_000)

  function strike(bytes: Uint8Array, hit: { kind: string; at: number; bytes: Uint8Array }): Uint8Array {
    const at = hit.at % bytes.length
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
    switch (hit.kind) {
      case 'replace':
        return Buffer.concat([before, hit.bytes, after.subarray(hit.bytes.length)])
      case 'insert':
        return Buffer.concat([before, hit.bytes, after])
      case 'remove':
        return Buffer.concat([before, after.subarray(hit.bytes.length)])
      case 'repeat':
        return Buffer.concat([before, after.subarray(0, 40), after])
      default:
        return before
    }
  }
})
