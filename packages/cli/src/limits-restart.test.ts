/** What the limits of a store count is right after restarts, clean or not, and after everything that gives room back. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type MillraceServer } from '@millrace/server'
import { fileStorage } from '@millrace/storage-file'
import { afterEach, beforeEach, expect, test } from 'vitest'

const LIMITS = { maxStreams: 3, maxTotalBytes: 100 }
const TEXT = { 'content-type': 'text/plain' }

let dataDir: string
let server: MillraceServer

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-limits-'))
  await start()
})

afterEach(async () => {
  await server.close()
  rmSync(dataDir, { recursive: true, force: true })
})

async function start(): Promise<void> {
  const storage = await fileStorage({ dataDir, durability: 'file-fast' })
  server = await createServer({ storage, port: 0, limits: LIMITS })
}

async function restart(): Promise<void> {
  await server.close()
  await start()
}

async function send(method: string, name: string, bytes = 0, headers = {}): Promise<number> {
  const body = bytes === 0 ? {} : { body: 'x'.repeat(bytes) }
  const url = `${server.url}/v1/stream/${name}`
  const response = await fetch(url, { method, headers: { ...TEXT, ...headers }, ...body })
  const text = await response.text()
  if (response.status === 507) expect(text).toMatch(/at most (3 streams|100 bytes)/)
  return response.status
}

test('streams and bytes are counted again at the start', async () => {
  expect(await send('PUT', 'a', 60)).toBe(201)
  expect(await send('PUT', 'b', 30)).toBe(201)
  await restart()
  expect(await send('POST', 'b', 11)).toBe(507)
  expect(await send('POST', 'b', 10)).toBe(204)
  expect(await send('PUT', 'c')).toBe(201)
  expect(await send('PUT', 'd')).toBe(507)
  await restart()
  expect(await send('POST', 'a', 1)).toBe(507)
  expect(await send('PUT', 'd')).toBe(507)
  expect(await send('DELETE', 'a')).toBe(204)
  expect(await send('PUT', 'd', 60)).toBe(201)
  expect(await send('POST', 'd', 1)).toBe(507)
})

test('a fork counts for what it holds itself, and what is kept for it does not count', async () => {
  const fork = { 'stream-forked-from': '/v1/stream/a' }
  expect(await send('PUT', 'a', 60)).toBe(201)
  expect(await send('PUT', 'fork', 0, fork)).toBe(201)
  expect(await send('POST', 'fork', 41)).toBe(507)
  expect(await send('POST', 'fork', 40)).toBe(204)
  expect(await send('DELETE', 'a')).toBe(204)
  await restart()
  expect(await send('POST', 'fork', 61)).toBe(507)
  expect(await send('POST', 'fork', 60)).toBe(204)
  expect(await send('DELETE', 'fork')).toBe(204)
  await restart()
  expect(await send('PUT', 'a', 100)).toBe(201)
})
