/** Each limit at its bound, as docs/limits.md has it: what fits is taken, what does not is refused and changes nothing. */
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ServerOptions } from './create-server.ts'
import {
  membersOf,
  type Reply,
  rawExchange,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }

let server: TestServer
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  expect(server.errors).toEqual([])
  await server.close()
})

async function start(options: Partial<ServerOptions>): Promise<void> {
  server = await startTestServer(options)
}

function put(name: string, body = '', headers = {}): Promise<Reply> {
  return server.request('PUT', `${ROOT}/${name}`, { headers: { ...TEXT, ...headers }, body })
}

function post(name: string, body: string, headers = {}): Promise<Reply> {
  return server.request('POST', `${ROOT}/${name}`, { headers: { ...TEXT, ...headers }, body })
}

async function textOf(name: string): Promise<string> {
  return (await server.request('GET', `${ROOT}/${name}`)).text
}

/** Status, code, and what says when to try again. */
function inShort(reply: Reply): readonly unknown[] {
  const { status, headers } = reply
  const code = membersOf(reply.text === '' ? undefined : reply.json()).get('code')
  return [status, code, headers.get('retry-after')].filter((part) => part !== undefined && part !== null)
}

describe('what is stored', () => {
  it('of one stream: 413, and it can still be read and closed', async () => {
    await start({ limits: { maxStreamBytes: 8 } })
    await put('a', '12345')
    expect(inShort(await post('a', '6789'))).toEqual([413, 'PAYLOAD_TOO_LARGE'])
    expect(inShort(await post('a', '678'))).toEqual([204])
    expect(inShort(await post('a', '9'))).toEqual([413, 'PAYLOAD_TOO_LARGE'])
    expect(inShort(await put('b', '123456789'))).toEqual([413, 'PAYLOAD_TOO_LARGE'])
    const closed = await server.request('POST', `${ROOT}/a`, { headers: { 'stream-closed': 'true' } })
    expect([await textOf('a'), closed.status]).toEqual(['12345678', 204])
    expect((await server.request('HEAD', `${ROOT}/b`)).status).toBe(404)
  })

  it('of all streams: 507, and a deletion makes room', async () => {
    await start({ limits: { maxTotalBytes: 8 } })
    await put('a', '12345')
    expect(inShort(await put('b', '6789'))).toEqual([507, 'INSUFFICIENT_STORAGE'])
    expect(inShort(await put('b', '678'))).toEqual([201])
    expect(inShort(await post('a', '9'))).toEqual([507, 'INSUFFICIENT_STORAGE'])
    expect((await server.request('DELETE', `${ROOT}/b`)).status).toBe(204)
    expect([inShort(await post('a', '678')), await textOf('a')]).toEqual([[204], '12345678'])
  })

  it('in streams: 507 for a new one, and 200 for one that is there', async () => {
    await start({ limits: { maxStreams: 2 } })
    await put('a')
    await put('b')
    expect(inShort(await put('c'))).toEqual([507, 'INSUFFICIENT_STORAGE'])
    expect(inShort(await put('a'))).toEqual([200])
    await server.request('DELETE', `${ROOT}/b`)
    expect(inShort(await put('c'))).toEqual([201])
  })

  it('of producers: 409, and those that are known go on', async () => {
    await start({ limits: { maxProducersPerStream: 1 } })
    await put('a')
    const by = (id: string, seq: number): Promise<Reply> =>
      post('a', 'x', { 'producer-id': id, 'producer-epoch': '0', 'producer-seq': String(seq) })
    expect(inShort(await by('one', 0))).toEqual([200])
    expect(inShort(await by('two', 0))).toEqual([409, 'TOO_MANY_PRODUCERS'])
    expect(inShort(await by('one', 1))).toEqual([200])
    expect(await textOf('a')).toBe('xx')
  })
})

describe('names', () => {
  it('of so many bytes and segments: 400', async () => {
    await start({ maxStreamNameBytes: 8, maxStreamNameSegments: 3 })
    const tried = []
    for (const name of ['12345678', '123456789', 'a/b/c', 'a/b/c/d']) tried.push(inShort(await put(name)))
    expect(tried).toEqual([[201], [400, 'INVALID_STREAM_NAME'], [201], [400, 'INVALID_STREAM_NAME']])
  })
})

describe('live readers', () => {
  it.each([
    ['of one stream', { maxReadersPerStream: 1 }, 204],
    ['in all', { maxReaders: 1 }, 503],
  ])('%s: 503 with Retry-After', async (_, limits, elsewhere) => {
    await start({ limits })
    await put('a')
    await put('b')
    const first = await server.openSse(`${ROOT}/a?offset=now&live=sse`)
    const poll = (name: string): Promise<Reply> =>
      server.request('GET', `${ROOT}/${name}?offset=now&live=long-poll`)
    expect(inShort(await poll('a'))).toEqual([503, 'UNAVAILABLE', '1'])
    expect((await poll('b')).status).toBe(elsewhere)
    first.abort()
    await server.untilReaders(0)
    expect((await poll('a')).status).toBe(204)
  })
})

describe('bodies that are coming in', () => {
  const head = (length: number): string =>
    `POST ${ROOT}/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`

  function begin(bytes: string): Socket {
    const socket = connect({ host: '127.0.0.1', port: server.port })
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.write(bytes)
    return socket
  }

  /** Sends until it is answered as expected: when the bytes of somebody else arrive is not for a test to know. */
  async function untilAnswered(status: number, body: string): Promise<Reply> {
    for (;;) {
      const reply = await post('a', body)
      if (reply.status === status) return reply
    }
  }

  it.each(['finished', 'given up'])('all together: 503 with Retry-After, until one is %s', async (end) => {
    await start({ maxReceivingBytes: 100 })
    await put('a')
    const slow = begin(`${head(90)}${'x'.repeat(80)}`)
    expect(inShort(await untilAnswered(503, 'y'.repeat(21)))).toEqual([503, 'UNAVAILABLE', '1'])
    expect(inShort(await post('a', 'z'.repeat(20)))).toEqual([204])
    if (end === 'finished') slow.write('x'.repeat(10))
    else slow.destroy()
    await untilAnswered(204, 'w'.repeat(100))
    const text = (await textOf('a')).replace(/^(?:y{21})*/, '')
    const slowly = end === 'finished' ? 'x'.repeat(90) : ''
    expect(text).toBe(`${'z'.repeat(20)}${slowly}${'w'.repeat(100)}`)
  })

  it('gives the room of everyone back, however their bodies end', async () => {
    await start({ maxReceivingBytes: 1000, maxBodyBytes: 500 })
    await put('a')
    const chunked = head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked')
    for (let round = 0; round < 30; round++) {
      await rawExchange(server.port, `${head(400)}${'x'.repeat(300)}`, { afterwards: 'leave' })
      await rawExchange(server.port, `${head(400)}${'x'.repeat(300)}`, { afterwards: 'end' })
      await rawExchange(server.port, `${chunked}12c\r\n${'x'.repeat(300)}\r\nzz\r\n`)
      expect((await post('a', 'x'.repeat(501))).status).toBe(413)
    }
    await untilAnswered(204, 'y'.repeat(500))
    expect(await textOf('a')).toBe('y'.repeat(500))
  })
})

describe('clients behind a proxy', () => {
  const by = (client: string, headers = {}): Promise<Reply> =>
    put('a', '', { 'x-forwarded-for': client, ...headers })
  const proxy = (trusted: string): Required<ServerOptions>['proxy'] => ({
    trustedProxies: [trusted],
    forwardedHeaders: 'x-forwarded',
  })

  it('are counted apart, those with IPv6 by their network: 429 with Retry-After', async () => {
    await start({ maxRequestsPerSecond: 1, proxy: proxy('127.0.0.1') })
    const clients = ['192.0.2.1', '192.0.2.2', '2001:db8:1:2::1', '2001:db8:1:3::1']
    for (const client of clients) expect([200, 201]).toContain((await by(client)).status)
    // Another address of the same network has waited no longer than its neighbour.
    const again = await Promise.all(Array.from({ length: 5 }, (_, at) => by(`2001:db8:1:2:${at}::9`)))
    const refused = again.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.map(inShort)).toEqual(refused.map(() => [429, 'RATE_LIMITED', '1']))
  })

  it('cannot name themselves where nobody is trusted to name them', async () => {
    await start({ maxRequestsPerSecond: 1, proxy: proxy('192.0.2.99') })
    const replies = await Promise.all(Array.from({ length: 5 }, (_, at) => by(`192.0.2.${at}`)))
    expect(replies.filter(({ status }) => status === 429).length).toBeGreaterThan(0)
  })

  it.each([
    ['a proxy that is trusted', '127.0.0.0/8', 'https://streams.example/v1/stream/a'],
    ['anybody else', '192.0.2.99', undefined],
  ])('find what %s says in Location', async (_, trusted, location) => {
    await start({ proxy: proxy(trusted) })
    const said = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'streams.example' }
    const created = await by('192.0.2.1', said)
    expect(created.headers.get('location')).toBe(location ?? `${server.url}${ROOT}/a`)
  })
})
