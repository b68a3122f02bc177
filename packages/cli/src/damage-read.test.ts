/** Reading damaged streams over HTTP: an error that says what is damaged, and everything else as it was written. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type MillraceServer } from '@millrace/server'
import { fileStorage, inspectStore } from '@millrace/storage-file'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { serveDirectory, TINY } from './used-directory.fixture.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const APPENDS = 8

let dataDir: string
let server: MillraceServer | undefined

/** One append fills a block of the tiny limits. */
function line(append: number): string {
  return `${String(append).repeat(1023)}\n`
}

function message(append: number): string {
  return JSON.stringify(String(append).repeat(1020))
}

beforeEach(async () => {
  poisonings.length = 0
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-damage-'))
  const writer = await serveDirectory(dataDir)
  await writer.send('PUT', 'whole', TEXT, 'untouched')
  await writer.send('PUT', 'text', TEXT)
  await writer.send('PUT', 'json', JSON_TYPE)
  for (let append = 0; append < APPENDS; append++) {
    await writer.send('POST', 'text', TEXT, line(append))
    await writer.send('POST', 'json', JSON_TYPE, message(append))
  }
  await writer.send('PUT', 'fork', { 'stream-forked-from': '/v1/stream/text' })
  await writer.close()
})

afterEach(async () => {
  await server?.close()
  server = undefined
  rmSync(dataDir, { recursive: true, force: true })
})

/** Flips a bit of every place in the block files that holds these bytes. */
async function damage(content: string): Promise<void> {
  const { blockFiles } = await inspectStore({ dataDir, limit: 0 })
  let places = 0
  for (const { file } of blockFiles) {
    const bytes = readFileSync(join(dataDir, file))
    for (let at = bytes.indexOf(content); at >= 0; at = bytes.indexOf(content, at + content.length)) {
      bytes.writeUInt8(bytes.readUInt8(at + 5) ^ 1, at + 5)
      places++
    }
    writeFileSync(join(dataDir, file), bytes)
  }
  expect(places).toBe(1)
}

const poisonings: unknown[] = []

async function start(): Promise<string> {
  const storage = fileStorage({ dataDir, limits: TINY, onPoisoned: (error) => poisonings.push(error) })
  server = await createServer({ storage, port: 0, onError: () => undefined })
  return `${server.url}/v1/stream`
}

function offset(position: number): string {
  return `0000000000000000_${String(position).padStart(16, '0')}`
}

interface Reply {
  readonly status: number
  readonly text: string
  readonly next: string | null
  readonly type: string | null
}

async function read(url: string): Promise<Reply> {
  const answer = await fetch(url)
  return {
    status: answer.status,
    text: await answer.text(),
    next: answer.headers.get('stream-next-offset'),
    type: answer.headers.get('content-type'),
  }
}

describe('a stream with a damaged block', () => {
  it.each(['text', 'fork'])('gives what lies before, an error, and what lies behind (%s)', async (stream) => {
    await damage(line(3))
    const root = await start()
    const before = await read(`${root}/${stream}?offset=-1`)
    const at = await read(`${root}/${stream}?offset=${before.next}`)
    const behind = await read(`${root}/${stream}?offset=${offset(4 * 1024)}`)

    expect([before.status, before.text]).toEqual([200, line(0) + line(1) + line(2)])
    expect(before.next).toBe(offset(3 * 1024))
    expect([at.status, at.type]).toEqual([500, 'application/problem+json'])
    expect(JSON.parse(at.text)).toMatchObject({
      type: '/errors/stored-data-damaged',
      code: 'STORED_DATA_DAMAGED',
      status: 500,
    })
    expect(JSON.parse(at.text).detail).toMatch(
      new RegExp(`^Stream ${stream}: Bytes 3072 to 4096 .*blocks/[0-9]{10}\\.blk, bytes [0-9]+ to [0-9]+`),
    )
    expect(at.text).not.toContain(dataDir)
    expect([behind.status, behind.text]).toEqual([200, [4, 5, 6, 7].map(line).join('')])
  })

  it('of JSON messages gives whole messages before it and behind it', async () => {
    await damage(message(3))
    const root = await start()
    const before = await read(`${root}/json?offset=-1`)
    const at = await read(`${root}/json?offset=${before.next}`)
    const behind = await read(`${root}/json?offset=${offset(4 * 1024)}`)

    expect([before.status, before.text]).toEqual([200, `[${[0, 1, 2].map(message).join(',\n')}]`])
    expect([at.status, JSON.parse(at.text).detail]).toEqual([
      500,
      expect.stringMatching(/^Stream json: Bytes 3072 to 4096 /),
    ])
    expect([behind.status, behind.text]).toEqual([200, `[${[4, 5, 6, 7].map(message).join(',\n')}]`])
  })

  it('does not keep others from being read, or from being written to', async () => {
    await damage(line(7))
    const root = await start()
    const append = (stream: string): Promise<Response> =>
      fetch(`${root}/${stream}`, { method: 'POST', headers: TEXT, body: 'more' })
    const appended = [(await append('whole')).status, (await append('text')).status]
    const whole = await read(`${root}/whole?offset=-1`)
    const tail = await read(`${root}/text?offset=${offset(APPENDS * 1024)}`)

    expect(appended).toEqual([204, 204])
    expect([whole.status, whole.text]).toEqual([200, 'untouchedmore'])
    expect([tail.status, tail.text]).toEqual([200, 'more'])
  })
})

it('a stream whose block file is gone is an error that names its bytes', async () => {
  const { blockFiles } = await inspectStore({ dataDir, limit: 0 })
  for (const { file } of blockFiles) rmSync(join(dataDir, file))
  const root = await start()
  const reply = await read(`${root}/whole?offset=-1`)

  expect(reply.status).toBe(500)
  expect(JSON.parse(reply.text).detail).toMatch(/^Stream whole: Bytes 0 to 9 .*the file is missing/)
})

it('a stream whose block file has a folder in its place is an error that names its bytes', async () => {
  const { blockFiles } = await inspectStore({ dataDir, limit: 0 })
  for (const { file } of blockFiles) {
    rmSync(join(dataDir, file))
    mkdirSync(join(dataDir, file))
  }
  const root = await start()
  const reply = await read(`${root}/whole?offset=-1`)

  expect(reply.status).toBe(500)
  expect(JSON.parse(reply.text).detail).toMatch(/^Stream whole: Bytes 0 to 9 .*a folder is in the place/)
  expect(poisonings).toEqual([])
})

it('a small damaged block at the end of a stream does not stop the store when more is appended', async () => {
  await damage('untouched')
  const root = await start()
  const more = await fetch(`${root}/whole`, { method: 'POST', headers: TEXT, body: 'and more' })
  await server?.close()
  const again = await start()
  const behind = await read(`${again}/whole?offset=${offset(9)}`)
  const before = await read(`${again}/whole?offset=-1`)
  const other = await fetch(`${again}/text`, { method: 'POST', headers: TEXT, body: 'other' })

  expect([more.status, other.status]).toEqual([204, 204])
  expect([behind.status, behind.text]).toEqual([200, 'and more'])
  expect(before.status).toBe(500)
})

it('a damaged block among deleted ones does not stop the store when space is given back', async () => {
  await damage('untouched')
  const root = await start()
  const deleted = []
  for (const stream of ['fork', 'text', 'json'])
    deleted.push((await fetch(`${root}/${stream}`, { method: 'DELETE' })).status)
  await server?.close()
  const again = await start()
  const whole = await read(`${again}/whole?offset=-1`)

  expect(deleted).toEqual([204, 204, 204])
  expect(poisonings).toEqual([])
  expect([whole.status, JSON.parse(whole.text).code]).toEqual([500, 'STORED_DATA_DAMAGED'])
})
