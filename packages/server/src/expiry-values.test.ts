import { afterAll, describe, expect, test } from 'vitest'
import { ADAPTERS, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())

const TEXT = { 'content-type': 'text/plain' }
let streams = 0

function newPath(): string {
  return `/v1/stream/values/${streams++}`
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  const send = server.via(adapter)

  test.each([
    '2099-01-31',
    '2099-01-31T12:00:00',
    '2099-01-31 12:00:00Z',
    '2099-01-31T12:00Z',
    '2099-01-31T12:00:00 Z',
    '2099-01-31T12:00:00+0200',
    '2099-01-31T12:00:00+02',
    '2099-01-31T12:00:00+24:00',
    '2099-01-31T12:00:00+02:60',
    '2099-01-31T12:00:00.Z',
    '2099-01-31T24:00:00Z',
    '2099-01-31T12:60:00Z',
    '2099-01-31T12:00:61Z',
    '2099-02-30T12:00:00Z',
    '2099-02-29T12:00:00Z',
    '2099-13-01T12:00:00Z',
    '2099-00-10T12:00:00Z',
    '2099-1-31T12:00:00Z',
    '99-01-31T12:00:00Z',
    '+002099-01-31T12:00:00Z',
    '20990131T120000Z',
    'Sat, 31 Jan 2099 12:00:00 GMT',
    '4073457600',
    '4073457600000',
    'tomorrow',
    'Z',
    '2099-01-31T12:00:00Z, 2099-01-31T12:00:00Z',
  ])('R-233: a Stream-Expires-At of %j is refused with 400', async (expiresAt) => {
    const path = newPath()
    const created = await send('PUT', path, { headers: { ...TEXT, 'stream-expires-at': expiresAt } })
    const read = await send('GET', path)

    expect([created.status, read.status]).toEqual([400, 404])
  })

  test.each([
    '2099-01-31T12:00:00Z',
    '2099-01-31t12:00:00z',
    '2099-01-31T12:00:00.5Z',
    '2099-01-31T12:00:00.123456789Z',
    '2099-01-31T12:00:00+02:00',
    '2099-01-31T12:00:00-11:30',
    '2096-02-29T12:00:00Z',
    '2098-12-31T23:59:60Z',
  ])('R-232, R-233: a Stream-Expires-At of %j is accepted', async (expiresAt) => {
    const path = newPath()
    const headers = { ...TEXT, 'stream-expires-at': expiresAt }
    const created = await send('PUT', path, { headers, body: 'abc' })
    const read = await send('GET', path)

    expect([created.status, read.status, read.text]).toEqual([201, 200, 'abc'])
  })

  test('R-233: the same instant in another form is the same configuration', async () => {
    const path = newPath()
    const forms = ['2099-01-31T12:00:00Z', '2099-01-31T14:00:00+02:00', '2099-01-31T12:00:00.000z']
    const statuses: number[] = []
    for (const expiresAt of forms) {
      const reply = await send('PUT', path, { headers: { ...TEXT, 'stream-expires-at': expiresAt } })
      statuses.push(reply.status)
    }
    const another = await send('PUT', path, {
      headers: { ...TEXT, 'stream-expires-at': '2099-01-31T12:00:01Z' },
    })

    expect([...statuses, another.status]).toEqual([201, 200, 200, 409])
  })

  test.each([
    ['TTL 0', { 'stream-ttl': '0' }],
    ['an instant in the past', { 'stream-expires-at': '2001-01-01T00:00:00Z' }],
    ['the first instant there is', { 'stream-expires-at': '0000-01-01T00:00:00Z' }],
    ['an instant in the past of another zone', { 'stream-expires-at': '2001-01-01T00:00:00-08:00' }],
  ])('R-233: a stream with %s is created, and has expired at the next access', async (_, expiry) => {
    const path = newPath()
    const created = await send('PUT', path, { headers: { ...TEXT, ...expiry }, body: 'abc' })
    const after = await Promise.all([
      send('GET', path),
      send('HEAD', path),
      send('POST', path, { headers: TEXT, body: 'def' }),
      send('DELETE', path),
      send('GET', `${path}?offset=-1&live=long-poll`),
      send('GET', `${path}?offset=-1&live=sse`),
    ])
    const again = await send('PUT', path, { headers: { 'content-type': 'application/json' }, body: '[1]' })
    const read = await send('GET', path)

    expect(created.status).toBe(201)
    expect(created.headers.get('stream-next-offset')).toBe('0000000000000000_0000000000000003')
    expect(after.map((reply) => reply.status)).toEqual([404, 404, 404, 404, 404, 404])
    expect([again.status, read.text]).toEqual([201, '[1]'])
  })

  test.each(['9007199254740992', '99999999999999999', '1e30', '0x10', '٣', ' ', '1,1', '60, 60', '00', '-0'])(
    'R-228, R-229: a Stream-TTL of %j is refused with 400',
    async (ttl) => {
      const value = Buffer.from(ttl, 'utf8').toString('latin1')
      const created = await send('PUT', newPath(), { headers: { ...TEXT, 'stream-ttl': value } })

      expect(created.status).toBe(400)
    },
  )

  test('R-230: the longest Stream-TTL there can be is accepted', async () => {
    const path = newPath()
    const headers = { ...TEXT, 'stream-ttl': '9007199254740991' }
    const created = await send('PUT', path, { headers, body: 'abc' })
    const [read, head] = await Promise.all([send('GET', path), send('HEAD', path)])

    expect([created.status, read.text]).toEqual([201, 'abc'])
    expect(head.headers.get('stream-ttl')).toBe('9007199254740991')
    expect(read.headers.get('cache-control')).toBe('public, max-age=60, stale-while-revalidate=300')
  })

  test('R-227: both ways to expire at once are refused, also when they agree', async () => {
    const headers = { ...TEXT, 'stream-ttl': '60', 'stream-expires-at': '2099-01-31T12:00:00Z' }

    expect((await send('PUT', newPath(), { headers })).status).toBe(400)
  })
})
