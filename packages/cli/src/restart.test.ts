import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { startMillrace } from './millrace-process.fixture.ts'

const folders: string[] = []
const TEXT = { 'content-type': 'text/plain' }

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

type Send = (
  method: string,
  path: string,
  headers?: Record<string, string>,
  body?: string,
) => Promise<Response>

interface Run {
  readonly send: Send
  end(): Promise<void>
}

/** A directory, and servers that run on it one after the other, each ended by the same signal. */
function restartable(signal: 'SIGTERM' | 'SIGKILL'): () => Promise<Run> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-restart-'))
  folders.push(dataDir)
  return async () => {
    const server = await startMillrace(['serve', '--port', '0', '--data-dir', dataDir])
    const send: Send = (method, path, headers = {}, body) =>
      fetch(`${server.url}/v1/stream/${path}`, { method, headers, ...(body !== undefined && { body }) })
    return { send, end: async () => void (await server.stop(signal)) }
  }
}

describe.each(['SIGTERM', 'SIGKILL'] as const)('after %s and a start on the same directory', (signal) => {
  test('R-029: offsets handed out before are valid, and mean the same bytes', async () => {
    const start = restartable(signal)
    const before = await start()
    await before.send('PUT', 'a', TEXT)
    const offsets: string[] = []
    for (const body of ['one', 'two', 'three']) {
      offsets.push((await before.send('POST', 'a', TEXT, body)).headers.get('stream-next-offset') ?? '')
    }
    await before.end()
    const after = await start()
    const rests = await Promise.all(
      offsets.map(async (offset) => (await after.send('GET', `a?offset=${offset}`)).text()),
    )
    const next = await after.send('POST', 'a', TEXT, 'four')
    await after.end()

    expect(rests).toEqual(['twothree', 'three', ''])
    expect((next.headers.get('stream-next-offset') ?? '') > (offsets[2] ?? '')).toBe(true)
  })

  test('R-129, R-337: a closed stream is closed, a deleted one is gone, and a duplicate is a duplicate', async () => {
    const start = restartable(signal)
    const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
    const before = await start()
    await before.send('PUT', 'closed', TEXT, 'all')
    await before.send('POST', 'closed', { 'stream-closed': 'true' })
    await before.send('PUT', 'deleted', TEXT, 'x')
    await before.send('DELETE', 'deleted')
    await before.send('PUT', 'once', TEXT)
    await before.send('POST', 'once', { ...TEXT, ...producer }, 'x')
    await before.end()
    const after = await start()
    const refused = await after.send('POST', 'closed', TEXT, 'more')
    const gone = await after.send('GET', 'deleted')
    const duplicate = await after.send('POST', 'once', { ...TEXT, ...producer }, 'x')
    const once = await (await after.send('GET', 'once')).text()
    const closed = await after.send('HEAD', 'closed')
    await after.end()

    expect([refused.status, refused.headers.get('stream-closed')]).toEqual([409, 'true'])
    expect(closed.headers.get('stream-closed')).toBe('true')
    expect([gone.status, duplicate.status, once]).toEqual([404, 204, 'x'])
  })

  test('R-244: expiry goes on where it was', async () => {
    const start = restartable(signal)
    const inAWhile = new Date(Date.now() + 4000).toISOString()
    const before = await start()
    await before.send('PUT', 'soon', { ...TEXT, 'stream-expires-at': inAWhile })
    await before.send('PUT', 'window', { ...TEXT, 'stream-ttl': '3600' })
    await before.end()
    const after = await start()
    const window = await after.send('HEAD', 'window')
    let status = 200
    while (status === 200) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      status = (await after.send('HEAD', 'soon')).status
    }
    const isOver = Date.now() >= Date.parse(inAWhile)
    await after.end()

    expect([window.status, window.headers.get('stream-ttl')]).toEqual([200, '3600'])
    expect([status, isOver]).toEqual([404, true])
  }, 20_000)
})
