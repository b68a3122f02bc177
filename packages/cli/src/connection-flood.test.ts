/** More connections than a process may have files: the store must not pay for them. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ON_BUN,
  ON_NODE,
  type Program,
  type RunningMillrace,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const OPEN_FILES = 150
/** More than two segments of the journal. */
const APPENDS = 80
const PAYLOAD = Buffer.alloc(1024 * 1024, 'x')

let folder: string
let server: RunningMillrace
let agent: Agent
let flood: readonly Socket[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-flood-'))
  agent = new Agent({ keepAlive: true, maxSockets: 1 })
})

afterEach(async () => {
  for (const socket of flood) socket.destroy()
  agent.destroy()
  await server.stop('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Over one connection, which was there before the flood. */
function send(method: string, path: string, body?: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/octet-stream' }
    const sent = request(server.url + path, { method, agent, headers }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function beginFlood(): Promise<void> {
  const { hostname, port } = new URL(server.url)
  flood = Array.from({ length: OPEN_FILES + 50 }, () =>
    connect(Number(port), hostname).on('error', () => undefined),
  )
  await Promise.all(flood.map((socket) => once(socket, 'connect')))
}

async function endFlood(): Promise<void> {
  for (const socket of flood) socket.destroy()
  await vi.waitUntil(async () => (await fetch(`${server.url}/healthz`).catch(() => undefined))?.ok, {
    timeout: 60_000,
    interval: 50,
  })
}

async function append(): Promise<Readonly<Record<number, number>>> {
  const counts: Record<number, number> = {}
  for (let sent = 0; sent < APPENDS; sent++) {
    const status = await send('POST', '/v1/stream/a', PAYLOAD)
    counts[status] = (counts[status] ?? 0) + 1
  }
  return counts
}

describe.each<[string, Program, readonly string[]]>([
  ['on Node nothing of what is connected already fails', ON_NODE, ['204']],
  // Bun bounds no connections: what finds no file is refused.
  ['on Bun appends are refused at worst', ON_BUN, ['204', '507']],
])('%s', (_, program, allowed) => {
  test('and when the flood is over, everything goes on', async () => {
    const bounded: Program = ['sh', '-c', `ulimit -n ${OPEN_FILES}; exec "$0" "$@"`, ...program]
    server = await startMillrace(['serve', '--port', '0', '--data-dir', join(folder, 'data')], {}, bounded)
    expect(await send('PUT', '/v1/stream/a')).toBe(201)
    await beginFlood()
    const counts = await append()
    const { stderr } = server.output()
    if (program === ON_NODE)
      expect(stderr).toMatch(/^A connection was refused: 75 are open, .*limits\.max_connections.*\n$/)
    expect(Object.keys(counts).filter((status) => !allowed.includes(status))).toEqual([])
    await endFlood()

    expect(await append()).toEqual({ 204: APPENDS })
    expect(await send('GET', '/readyz')).toBe(200)
  })
})
