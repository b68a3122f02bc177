/** Offsets of bytes that the store lost: gone for good, never the name of other bytes. */
import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, membersOf, startTestServer } from './test-server.fixture.ts'

/** A store that lost something once: what is appended now is of its second generation. */
function secondGeneration(): StreamStorage {
  const inner = memoryStorage()
  return {
    traits: inner.traits,
    generation: 1,
    load: (paths) => inner.load(paths),
    commit: (batch) => inner.commit(batch),
    read: (range) => inner.read(range),
    unitAt: (id, position) => inner.unitAt(id, position),
    touch: (touches) => inner.touch(touches),
    list: (prefix, after, limit) => inner.list(prefix, after, limit),
    due: (atOrBeforeMs, limit) => inner.due(atOrBeforeMs, limit),
    close: () => inner.close(),
  }
}

const server = await startTestServer({ storage: secondGeneration(), longPollTimeoutMs: 20 })
afterAll(() => server.close())

const TEXT = { 'content-type': 'text/plain' }
const LOST = '0000000000000000_0000000000000003'
const START = '0000000000000000_0000000000000000'

let count = 0

describe.each(ADAPTERS)('%s adapter: an offset that was lost', (adapter) => {
  const request = server.via(adapter)

  it.each(['', '&live=long-poll', '&live=sse'])('is 410 and says where to go on (%s)', async (live) => {
    const path = `/v1/stream/lost/${++count}`
    const created = await request('PUT', path, { headers: TEXT, body: 'hello' })
    expect(created.headers.get('stream-next-offset')).toBe('0000000000000001_0000000000000005')
    const reply = await request('GET', `${path}?offset=${LOST}${live}`)
    const { code, detail } = Object.fromEntries(membersOf(reply.json()))
    expect([reply.status, code]).toEqual([410, 'OFFSET_LOST'])
    expect(detail).toContain(START)
    const again = await request('GET', `${path}?offset=${START}`)
    expect([again.status, again.text]).toEqual([200, 'hello'])
  })

  it('is 410 as the place where a fork leaves its source', async () => {
    const path = `/v1/stream/lost/${++count}`
    await request('PUT', path, { headers: TEXT, body: 'hello' })
    const fork = { 'stream-forked-from': path, 'stream-fork-offset': LOST }
    const reply = await request('PUT', `${path}-fork`, { headers: fork })
    expect([reply.status, Object.fromEntries(membersOf(reply.json())).code]).toEqual([410, 'OFFSET_LOST'])
    expect((await request('GET', `${path}-fork`)).status).toBe(404)
  })
})
