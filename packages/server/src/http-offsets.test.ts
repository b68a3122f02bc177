/** Offsets as clients see them: what tokens look like, and what the sentinels stand for. */
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, type Adapter, membersOf, type Reply, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer({ longPollTimeoutMs: 20 })
/** Nobody gets an answer from it because the time is over. */
const patient = await startTestServer({ longPollTimeoutMs: 600_000 })
afterAll(() => Promise.all([server.close(), patient.close()]))

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }
const TYPES = ['text/plain', 'application/json', 'application/octet-stream']

function offsetOf(reply: { readonly headers: Headers }): string {
  return reply.headers.get('stream-next-offset') ?? ''
}

function control(data: string | undefined): Readonly<Record<string, unknown>> {
  return Object.fromEntries(membersOf(JSON.parse(data ?? '{}')))
}

let count = 0

/** Every offset that a stream of this type lets a client see, from its creation to its end. */
async function allOffsets(adapter: Adapter, type: string): Promise<readonly string[]> {
  const request = server.via(adapter)
  const path = `${ROOT}/tokens/${++count}`
  const headers = { 'content-type': type }
  const body = '"message"'
  const seen: Reply[] = [await request('PUT', path, { headers })]
  const controls: string[] = []
  const look = async (): Promise<void> => {
    for (const query of ['', '?offset=-1', '?offset=now']) seen.push(await request('GET', path + query))
    for (const start of ['-1', 'now']) {
      seen.push(await request('GET', `${path}?offset=${start}&live=long-poll`))
      const sse = await server.openSse(`${path}?offset=${start}&live=sse`, adapter)
      for (let event = await sse.next(); event !== undefined; event = await sse.next()) {
        if (event.kind !== 'control') continue
        controls.push(String(control(event.data).streamNextOffset))
        break
      }
      sse.abort()
    }
    seen.push(await request('HEAD', path), await request('PUT', path, { headers }))
  }
  await look()
  seen.push(await request('POST', path, { headers, body }))
  await look()
  seen.push(await request('POST', path, { headers: { ...headers, ...CLOSE }, body }))
  await look()
  seen.push(await request('POST', path, { headers, body }), await request('POST', path, { headers: CLOSE }))
  // Only the two PUTs that ask for an open stream and find a closed one carry none.
  return [...seen.filter(({ headers: found }) => found.has('stream-next-offset')).map(offsetOf), ...controls]
}

describe.each(ADAPTERS)('%s adapter: tokens', (adapter) => {
  it.each(TYPES)('R-025: are short and safe in a URL for %s', async (type) => {
    const offsets = await allOffsets(adapter, type)
    expect(offsets.length).toBeGreaterThanOrEqual(30)
    expect(offsets.filter((offset) => !/^[\x21-\x7e]{1,255}$/.test(offset))).toEqual([])
    expect(offsets.filter((offset) => /[,&=?/%#+]/.test(offset))).toEqual([])
    expect(offsets.filter((offset) => encodeURIComponent(offset) !== offset)).toEqual([])
  })

  it.each(TYPES)('R-028: are never a sentinel for %s', async (type) => {
    const offsets = await allOffsets(adapter, type)
    expect(offsets.filter((offset) => ['-1', 'now', ''].includes(offset))).toEqual([])
    expect(offsets[0]).toBe('0000000000000000_0000000000000000')
  })
})

describe.each(ADAPTERS)('%s adapter: offsets past the tail', (adapter) => {
  const request = server.via(adapter)

  it.each([
    ['one past the tail', '0000000000000000_0000000000000005'],
    ['far past the tail', '0000000000000000_9007199254740991'],
    ['past every number', '0000000000000000_9999999999999999'],
    ['of another generation', '0000000000000001_0000000000000000'],
    ['the greatest of all', '9999999999999999_9999999999999999'],
  ])('R-038: refuses a well-formed offset %s with 400', async (_, offset) => {
    const path = `${ROOT}/beyond/${adapter}`
    await request('PUT', path, { headers: TEXT, body: 'four' })
    await request('PUT', `${path}/empty`, { headers: TEXT })
    for (const query of [
      `offset=${offset}`,
      `offset=${offset}&live=long-poll`,
      `offset=${offset}&live=sse`,
    ]) {
      const reply = await request('GET', `${path}?${query}`)
      const empty = await request('GET', `${path}/empty?${query}`)
      const missing = await request('GET', `${path}/missing?${query}`)
      expect([reply.status, empty.status, missing.status]).toEqual([400, 400, 404])
      expect(reply.json()).toMatchObject({ code: 'INVALID_OFFSET' })
    }
    const atTail = await request('GET', `${path}?offset=0000000000000000_0000000000000004`)
    expect([atTail.status, atTail.text]).toEqual([200, ''])
  })
})

describe.each(ADAPTERS)('%s adapter: offset=now', (adapter) => {
  const request = server.via(adapter)

  it.each([
    ['text', 'text/plain', 'x', {}],
    ['JSON', 'application/json', '[1]', {}],
    ['an empty stream', 'text/plain', '', {}],
    ['a closed stream', 'text/plain', 'x', CLOSE],
  ])('R-044: carries no ETag: %s', async (name, type, body, extra) => {
    const path = `${ROOT}/untagged/${adapter}/${encodeURIComponent(name)}`
    await request('PUT', path, { headers: { 'content-type': type, ...extra }, body })
    const read = await request('GET', `${path}?offset=now`)
    const conditional = await request('GET', `${path}?offset=now`, { headers: { 'if-none-match': '*' } })
    const tagged = await request('GET', path)
    expect([read.status, conditional.status]).toEqual([200, 200])
    expect([read.headers.get('etag'), conditional.headers.get('etag')]).toEqual([null, null])
    expect(read.headers.get('cache-control')).toBe('no-store')
    expect(tagged.headers.get('etag')).toMatch(/^".+"$/)
  })

  const longPollFromNow = async (path: string): Promise<Reply> => {
    const via = patient.via(adapter)
    await via('PUT', path, { headers: TEXT, body: 'before' })
    const waiting = via('GET', `${path}?offset=now&live=long-poll`)
    await patient.untilReaders(1)
    await via('POST', path, { headers: TEXT, body: 'after' })
    return waiting
  }

  it('R-044: carries no ETag when a long-poll waited for data', async () => {
    const reply = await longPollFromNow(`${ROOT}/untagged-wait/${adapter}`)
    expect([reply.status, reply.text]).toEqual([200, 'after'])
    expect(reply.headers.get('etag')).toBeNull()
  })

  it('lets no cache keep what a long-poll waited for: whoever asks next means a later now', async () => {
    const reply = await longPollFromNow(`${ROOT}/uncached-wait/${adapter}`)
    expect([reply.status, reply.text]).toEqual([200, 'after'])
    expect(reply.headers.get('cache-control')).toBe('no-store')
  })

  it.each([
    ['text', 'text/plain', 'x', 'more', 'more'],
    ['JSON', 'application/json', '[1]', '[2]', '[2]'],
    ['binary', 'application/octet-stream', 'x', 'more', Buffer.from('more').toString('base64')],
    ['an empty stream', 'text/plain', '', 'more', 'more'],
  ])('R-051: begins SSE with a control event at the tail: %s', async (name, type, body, more, data) => {
    const path = `${ROOT}/sse-now/${adapter}/${encodeURIComponent(name)}`
    const headers = { 'content-type': type }
    const created = await request('PUT', path, { headers, body })
    const sse = await server.openSse(`${path}?offset=now&live=sse`, adapter)
    const first = await sse.next()
    const appended = await request('POST', path, { headers, body: more })
    const [second, third] = await sse.take(2)
    sse.abort()
    expect(first?.kind).toBe('control')
    expect(control(first?.data)).toEqual({
      streamNextOffset: offsetOf(created),
      streamCursor: expect.stringMatching(/^\d+$/),
      upToDate: true,
    })
    expect([second?.kind, second?.data]).toEqual(['data', data])
    expect(control(third?.data)).toMatchObject({ streamNextOffset: offsetOf(appended), upToDate: true })
  })

  it.each(TYPES)('R-054: answers a long-poll on a closed stream of %s with 204 at once', async (type) => {
    const path = `${ROOT}/closed-poll/${adapter}/${type}`
    const via = patient.via(adapter)
    const headers = { 'content-type': type, ...CLOSE }
    const created = await via('PUT', path, { headers, body: '"x"' })
    const reply = await via('GET', `${path}?offset=now&live=long-poll`)
    expect([reply.status, reply.text]).toEqual([204, ''])
    expect(reply.headers.get('stream-closed')).toBe('true')
    expect(reply.headers.get('stream-up-to-date')).toBe('true')
    expect(offsetOf(reply)).toBe(offsetOf(created))
  })

  it.each(TYPES)('R-054: ends SSE on a closed stream of %s after one closing control event', async (type) => {
    const path = `${ROOT}/closed-sse/${adapter}/${type}`
    const headers = { 'content-type': type, ...CLOSE }
    const created = await request('PUT', path, { headers, body: '"x"' })
    const sse = await server.openSse(`${path}?offset=now&live=sse`, adapter)
    expect(await sse.ended).toBe('complete')
    expect(Buffer.from(sse.bytes()).toString()).toBe(
      `event: control\ndata:{"streamNextOffset":"${offsetOf(created)}","upToDate":true,"streamClosed":true}\n\n`,
    )
    expect(sse.status).toBe(200)
    expect(sse.headers.get('stream-closed')).toBe('true')
    expect(sse.headers.get('stream-up-to-date')).toBe('true')
    expect(offsetOf(sse)).toBe(offsetOf(created))
  })

  it('R-054: sends closure headers with SSE for a stream that was closed without data', async () => {
    const path = `${ROOT}/closed-empty/${adapter}`
    await request('PUT', path, { headers: TEXT })
    await request('POST', path, { headers: CLOSE })
    const sse = await server.openSse(`${path}?offset=now&live=sse`, adapter)
    const events = await sse.rest()
    expect(events.map(({ kind }) => kind)).toEqual(['control'])
    expect(sse.headers.get('stream-closed')).toBe('true')
    expect(offsetOf(sse)).toBe('0000000000000000_0000000000000000')
  })
})
