/** Idempotent producers over HTTP: which headers count, and what holds when requests come all at once. */
import { memoryStorage } from '@millrace/engine'
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, type Send, type SendHeaders, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
const tiny = await startTestServer({ storage: memoryStorage({ maxBytes: 1000 }) })
afterAll(() => Promise.all([server.close(), tiny.close()]))

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }
const GREATEST = '9007199254740991'

function stamp(id: string, epoch: number | string, seq: number | string): Readonly<Record<string, string>> {
  return { 'producer-id': id, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}

async function textOf(request: Send, path: string): Promise<string> {
  return (await request('GET', path)).text
}

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}`
  const post = (name: string, headers: SendHeaders, body = ''): ReturnType<Send> =>
    request('POST', `${path}/${name}`, { headers, body })

  it.each([1, 2, 7, GREATEST])('R-100: refuses an unknown producer that begins with %s', async (seq) => {
    await request('PUT', `${path}/unknown/${seq}`, { headers: TEXT })
    const refused = await post(`unknown/${seq}`, { ...TEXT, ...stamp('new', 4, seq) }, 'x')
    expect(refused.status).toBe(409)
    expect(refused.headers.get('producer-expected-seq')).toBe('0')
    expect(refused.headers.get('producer-received-seq')).toBe(String(seq))
    expect(refused.json()).toMatchObject({ code: 'SEQUENCE_CONFLICT' })
    const begun = await post(`unknown/${seq}`, { ...TEXT, ...stamp('new', 4, 0) }, 'first')
    expect([begun.status, await textOf(request, `${path}/unknown/${seq}`)]).toEqual([200, 'first'])
  })

  it('R-100: knows a producer of one stream only there', async () => {
    await request('PUT', `${path}/here`, { headers: TEXT })
    await request('PUT', `${path}/there`, { headers: TEXT })
    await post('here', { ...TEXT, ...stamp('p', 0, 0) }, 'x')
    const there = await post('there', { ...TEXT, ...stamp('p', 0, 1) }, 'x')
    expect([there.status, there.headers.get('producer-expected-seq')]).toEqual([409, '0'])
  })

  it.each([
    ['producer-id'],
    ['producer-epoch'],
    ['producer-seq'],
    ['producer-id', 'producer-epoch'],
    ['producer-id', 'producer-seq'],
    ['producer-epoch', 'producer-seq'],
  ])('R-101: refuses some of the three headers without the others: %s %s', async (...names) => {
    const target = `some/${names.join('-')}`
    await request('PUT', `${path}/${target}`, { headers: TEXT, body: 'kept' })
    const some = Object.fromEntries(Object.entries(stamp('p', 0, 0)).filter(([name]) => names.includes(name)))
    const appended = await post(target, { ...TEXT, ...some }, 'x')
    const closing = await post(target, { ...TEXT, ...CLOSE, ...some }, 'x')
    const closeOnly = await post(target, { ...CLOSE, ...some })
    expect([appended.status, closing.status, closeOnly.status]).toEqual([400, 400, 400])
    expect(appended.json()).toMatchObject({ code: 'BAD_REQUEST' })
    const found = await request('HEAD', `${path}/${target}`)
    expect(found.headers.get('stream-closed')).toBeNull()
    expect(await textOf(request, `${path}/${target}`)).toBe('kept')
  })

  it.each([
    '9007199254740992',
    '9007199254740993',
    '18446744073709551615',
    '99999999999999999999999',
    '1e16',
  ])('R-103: refuses %s, which is above 2^53-1', async (value) => {
    const target = `above/${value}`
    await request('PUT', `${path}/${target}`, { headers: TEXT })
    await post(target, { ...TEXT, ...stamp('p', 0, 0) }, 'kept')
    const epoch = await post(target, { ...TEXT, ...stamp('p', value, 0) }, 'x')
    const seq = await post(target, { ...TEXT, ...stamp('p', 0, value) }, 'x')
    expect([epoch.status, seq.status]).toEqual([400, 400])
    expect(await textOf(request, `${path}/${target}`)).toBe('kept')
  })

  it('R-103: takes 2^53-1', async () => {
    await request('PUT', `${path}/greatest`, { headers: TEXT })
    const first = await post('greatest', { ...TEXT, ...stamp('p', GREATEST, 0) }, 'x')
    const duplicate = await post('greatest', { ...TEXT, ...stamp('p', GREATEST, 0) }, 'x')
    const gap = await post('greatest', { ...TEXT, ...stamp('p', GREATEST, GREATEST) }, 'x')
    const fenced = await post('greatest', { ...TEXT, ...stamp('p', 9007199254740990, 0) }, 'x')
    expect([first.status, duplicate.status, gap.status, fenced.status]).toEqual([200, 204, 409, 403])
    expect(first.headers.get('producer-epoch')).toBe(GREATEST)
    expect(gap.headers.get('producer-received-seq')).toBe(GREATEST)
    expect(fenced.headers.get('producer-epoch')).toBe(GREATEST)
  })

  it('R-111: stores exactly one of 20 concurrent requests with the same stamp', async () => {
    await request('PUT', `${path}/same`, { headers: TEXT })
    for (const seq of [0, 1, 2]) {
      const before = await textOf(request, `${path}/same`)
      const bodies = Array.from({ length: 20 }, (_, index) => `${seq}.${index};`)
      const replies = await Promise.all(
        bodies.map((body) => post('same', { ...TEXT, ...stamp('p', 0, seq) }, body)),
      )
      const stored = bodies.filter((_, index) => replies[index]?.status === 200)
      expect(stored).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 204)).toHaveLength(19)
      expect(await textOf(request, `${path}/same`)).toBe(before + stored[0])
    }
  })

  it('R-111: stores a producer pipeline in order and once, however its requests overtake each other', async () => {
    await request('PUT', `${path}/pipeline`, { headers: TEXT })
    const count = 30
    const seen = new Set<number>()
    const send = async (seq: number): Promise<void> => {
      for (;;) {
        const reply = await post('pipeline', { ...TEXT, ...stamp('p', 0, seq) }, `<${seq}>`)
        seen.add(reply.status)
        if (reply.status !== 409) return
      }
    }
    const backwards = Array.from({ length: count }, (_, index) => count - 1 - index)
    await Promise.all([...backwards, ...backwards].map(send))
    expect([...seen].sort()).toEqual([200, 204, 409])
    const all = Array.from({ length: count }, (_, seq) => `<${seq}>`).join('')
    expect(await textOf(request, `${path}/pipeline`)).toBe(all)
  })

  it('R-111: lets exactly one of many rivals take a producer over in the next epoch', async () => {
    await request('PUT', `${path}/takeover`, { headers: TEXT })
    await post('takeover', { ...TEXT, ...stamp('p', 0, 0) }, 'old;')
    const bodies = Array.from({ length: 10 }, (_, index) => `new ${index};`)
    const replies = await Promise.all([
      ...bodies.map((body) => post('takeover', { ...TEXT, ...stamp('p', 1, 0) }, body)),
      ...bodies.map((body) => post('takeover', { ...TEXT, ...stamp('p', 0, 1) }, `late ${body}`)),
    ])
    const winners = bodies.filter((_, index) => replies[index]?.status === 200)
    expect(winners).toHaveLength(1)
    const late = replies.slice(bodies.length).map(({ status }) => status)
    expect(late.filter((status) => ![200, 204, 403].includes(status))).toEqual([])
    expect(late.filter((status) => status === 200).length).toBeLessThanOrEqual(1)
    const all = await textOf(request, `${path}/takeover`)
    expect(all.match(/(^|;)new /g)).toHaveLength(1)
  })

  it('R-112: forgets the stamp of an append for which there was no room', async () => {
    const via = tiny.via(adapter)
    const target = `${ROOT}/full-${adapter}`
    await via('PUT', target, { headers: TEXT })
    const headers = { ...TEXT, ...stamp('p', 0, 0), 'stream-seq': 'a' }
    const refused = await via('POST', target, { headers, body: 'x'.repeat(5000) })
    expect(refused.status).toBe(507)
    expect(refused.json()).toMatchObject({ status: 507, code: 'INSUFFICIENT_STORAGE' })
    const retried = await via('POST', target, { headers, body: 'fits' })
    expect([retried.status, await textOf(via, target)]).toEqual([200, 'fits'])
    const duplicate = await via('POST', target, { headers, body: 'fits' })
    expect([duplicate.status, await textOf(via, target)]).toEqual([204, 'fits'])
  })
})
