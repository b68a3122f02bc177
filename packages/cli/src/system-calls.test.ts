/** SIGKILL proves nothing about syncs: the process's own system calls do. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type EffectReport, judgeEffects } from './effect-order.fixture.ts'
import { plainEnvironment } from './millrace-process.fixture.ts'
import { parseTrace } from './system-calls.fixture.ts'

const SERVER = fileURLToPath(new URL('./traced-server.fixture.ts', import.meta.url))
  .replace('/src/', '/dist/')
  .replace(/ts$/, 'js')
const CALLS =
  'write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fdatasync,fsync,unlink,unlinkat,rename,renameat,renameat2,openat'
const CONNECTIONS = 8
const APPENDS = 75

/** Whether processes can be traced here: the program is there, and the system lets it. */
const CAN_TRACE = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
if (!CAN_TRACE && process.env.MILLRACE_REQUIRE_ALL !== undefined) {
  throw new Error('strace cannot trace here: install it, and allow ptrace')
}

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-trace-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A server under load, traced from its start to its clean stop. */
async function traced(durability: string): Promise<string> {
  const file = join(folder, 'trace')
  const args = ['-f', '-y', '-xx', '-s', '200000', '-o', file, '-e', `trace=${CALLS}`]
  const child = spawn('strace', [...args, process.execPath, SERVER, join(folder, 'data'), durability], {
    // Without it some versions of Node hand file operations to the kernel in a way that strace does not see.
    env: { ...plainEnvironment(), UV_USE_IO_URING: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const [pid, url] = await firstLine(child)
  try {
    await load(`${url}/v1/stream/traced`)
  } finally {
    process.kill(Number(pid), 'SIGTERM')
  }
  await ended
  return readFileSync(file, 'latin1')
}

async function firstLine(child: ChildProcess): Promise<readonly string[]> {
  if (child.stdout === null) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) return line.split(' ')
  throw new Error('the server did not start')
}

async function load(url: string): Promise<void> {
  const headers = { 'content-type': 'application/octet-stream' }
  expect((await fetch(url, { method: 'PUT', headers })).status).toBe(201)
  const one = async (): Promise<void> => {
    for (let i = 0; i < APPENDS; i++) {
      const body = new Uint8Array(300 + i * 13)
      expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(204)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, one))
}

/** That there was enough of everything to judge. */
function expectWork(report: EffectReport): void {
  expect(report.answers).toBeGreaterThanOrEqual(CONNECTIONS * APPENDS)
  expect(report.blocks).toBeGreaterThan(20)
  expect(report.homeCommits).toBeGreaterThan(5)
  expect(report.retirements).toBeGreaterThan(0)
  expect(report.folderSyncs).toBeGreaterThan(report.retirements)
}

describe.skipIf(!CAN_TRACE)('the system calls of a server (install strace if this is skipped)', () => {
  it('R-337: file-durable answers after the sync, and every effect waits for what it rests on', async () => {
    const calls = parseTrace(await traced('file-durable'))
    const report = judgeEffects(calls, 'sync')
    expect(report.violations).toEqual([])
    expectWork(report)
    // The judge notices: without any one kind of sync the same trace is wrong.
    const withoutSyncs = (pattern: RegExp): number =>
      judgeEffects(
        calls.filter(({ name, path }) => !(/sync/.test(name) && pattern.test(path))),
        'sync',
      ).violations.length
    for (const pattern of [/\.seg$/, /\.blk$/, /\/journal$/, /\/blocks$/])
      expect(withoutSyncs(pattern)).toBeGreaterThan(0)
    const hasty = calls.map((call) =>
      /\/journal\/spare/.test(call.text) ? { ...call, began: call.began - 500 } : call,
    )
    expect(judgeEffects(hasty, 'sync').violations.join()).toContain('the flushed home had')
  }, 60_000)

  it('R-337: file-fast answers after the write, and every other effect waits all the same', async () => {
    const calls = parseTrace(await traced('file-fast'))
    const report = judgeEffects(calls, 'write')
    expect(report.violations).toEqual([])
    expectWork(report)
    expect(judgeEffects(calls, 'sync').violations.length).toBeGreaterThan(0)
  }, 60_000)
})
