import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { BackupLoad, StreamClient, textOf } from './backup-load.fixture.ts'
import {
  beginMillrace,
  ON_BUN,
  ON_NODE,
  type Program,
  plainEnvironment,
  type RunningMillrace,
  runMillrace,
  shellCommand,
  startMillrace,
} from './millrace-process.fixture.ts'

const folders: string[] = []

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-live-'))
  folders.push(folder)
  return folder
}

const RUNTIMES = [
  ['Node', ON_NODE],
  ['Bun', ON_BUN],
] as const

function serve(dataDir: string, runtime?: Program): Promise<RunningMillrace> {
  return startMillrace(['serve', '--port', '0', '--data-dir', dataDir], {}, runtime)
}

interface SavedLine {
  readonly path: string
  readonly offset: string
  readonly tail: number
  readonly closed: boolean
}

function linesOf(target: string): readonly SavedLine[] {
  const manifest = JSON.parse(readFileSync(join(target, 'manifest.json'), 'utf8'))
  const { stored } = manifest.files.find(({ name }: { name: string }) => name === 'streams.ndjson')
  const lines = readFileSync(join(target, stored), 'utf8').trim().split('\n')
  expect(manifest.streams.count).toBe(lines.length)
  return lines.map((line) => JSON.parse(line))
}

/** Kills a backup with SIGKILL once it has begun to copy; again on a new folder if it was faster. */
async function killedBackup(dataDir: string): Promise<string> {
  for (let round = 0; round < 10; round++) {
    const target = join(newFolder(), 'backup')
    const backup = beginMillrace(['backup', target, '--data-dir', dataDir])
    await backup.hasSpoken
    backup.signal('SIGKILL')
    const { signal } = await backup.over
    if (signal === 'SIGKILL' && !existsSync(join(target, 'manifest.json'))) return target
  }
  throw new Error('no backup could be killed before it was complete')
}

async function checkStream(line: SavedLine, restored: StreamClient, original: StreamClient): Promise<void> {
  const { path, offset, tail, closed } = line
  const head = await restored.send('HEAD', path)
  expect([path, head.status, head.headers.get('stream-next-offset')]).toEqual([path, 200, offset])
  expect(head.headers.get('stream-closed') === 'true').toBe(closed)
  const content = await restored.textOf(path)
  if (content === undefined) throw new Error(`${path} is not there`)
  if (path.startsWith('produced/')) {
    expect(JSON.parse(content)).toEqual(JSON.parse(content).map((_: unknown, n: number) => ({ n })))
    const all = JSON.parse((await original.textOf(path)) ?? '')
    expect(all.slice(0, JSON.parse(content).length)).toEqual(JSON.parse(content))
    return
  }
  expect(content.length).toBe(tail)
  if (/^(text|closed|doomed)/.test(path)) expect(content).toBe(textOf(path, tail))
  const now = await original.textOf(path)
  if (!path.startsWith('doomed/')) expect(now?.slice(0, tail) === content).toBe(true)
}

/** What was acknowledged to a producer up to the backup is a duplicate; what came after is not there yet. */
async function checkProducer(path: string, restored: StreamClient): Promise<void> {
  const count = JSON.parse((await restored.textOf(path)) ?? '').length
  const send = async (n: number): Promise<number> => {
    const headers = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': String(n) }
    const type = { 'content-type': 'application/json' }
    return (await restored.send('POST', path, { ...type, ...headers }, JSON.stringify({ n }))).status
  }
  expect([await send(count - 1), await send(count), await send(count)]).toEqual([204, 200, 204])
  expect(JSON.parse((await restored.textOf(path)) ?? '').length).toBe(count + 1)
}

describe('a backup under load', () => {
  test('that is killed and run again is restored elsewhere to the streams up to its positions', async () => {
    const dataDir = join(newFolder(), 'data')
    const server = await serve(dataDir)
    const load = new BackupLoad(server.url)
    await load.fill(48, 1024 * 1024)
    load.start()
    const target = await killedBackup(dataDir)
    const acknowledged = new Map(load.acknowledged)
    const again = await runMillrace(['backup', target, '--data-dir', dataDir, '--json'])
    expect([again.code, again.signal]).toEqual([0, null])
    const summary = JSON.parse(again.stdout)
    expect(summary.reusedBytes).toBeGreaterThan(0)
    expect(summary.fetchedBytes).toBeGreaterThan(0)
    await load.stop()

    const restoredDir = join(newFolder(), 'restored')
    const restore = await runMillrace(['restore', target, '--data-dir', restoredDir, '--json'])
    expect([restore.code, JSON.parse(restore.stdout).streams]).toEqual([0, summary.streams])
    const verify = await runMillrace(['verify', '--data-dir', restoredDir, '--json'])
    expect([verify.code, JSON.parse(verify.stdout).findings]).toEqual([0, []])
    const second = await serve(restoredDir)
    const [original, restored] = [new StreamClient(server.url), new StreamClient(second.url)]
    const lines = linesOf(target)
    for (const line of lines) await checkStream(line, restored, original)
    const saved = new Set(lines.map(({ path }) => path))
    expect(saved.size).toBeGreaterThan(60)
    for (const path of load.paths) {
      if (!saved.has(path)) expect([path, (await restored.send('HEAD', path)).status]).toEqual([path, 404])
    }
    expect(load.paths.size).toBeGreaterThan(saved.size)
    for (const [path, bytes] of acknowledged) {
      expect(lines.find((line) => line.path === path)?.tail).toBeGreaterThanOrEqual(bytes)
    }
    for (const path of ['produced/0', 'produced/1']) await checkProducer(path, restored)

    const line = lines.find(({ path }) => path === 'text/0')
    if (line === undefined) throw new Error('text/0 was not saved')
    const later = await original.send('HEAD', 'text/0')
    const lost = later.headers.get('stream-next-offset') ?? ''
    expect((await restored.send('GET', `text/0?offset=${lost}`)).status).toBe(410)
    const text = { 'content-type': 'text/plain' }
    expect((await restored.send('POST', 'text/0', text, 'new bytes')).status).toBe(204)
    const rest = await restored.send('GET', `text/0?offset=${line.offset}`)
    expect(await rest.text()).toBe('new bytes')
    expect([(await second.stop()).code, (await server.stop()).code]).toEqual([0, 0])
  }, 240_000)
})

describe.each(RUNTIMES)('the admin socket of a server on %s', (_name, runtime) => {
  test('is for its user only, and the next server takes the place of a killed one', async () => {
    const dataDir = join(newFolder(), 'data')
    const socket = join(dataDir, 'admin.sock')
    const first = await serve(dataDir, runtime)
    await new StreamClient(first.url).send('PUT', 'a', { 'content-type': 'text/plain' }, 'abc')
    expect((statSync(socket).mode & 0o777).toString(8)).toBe('600')
    await first.stop('SIGKILL')
    expect(existsSync(socket)).toBe(true)
    const target = join(newFolder(), 'backup')
    const refused = await runMillrace(['backup', target, '--data-dir', dataDir])
    expect([refused.code, refused.stdout]).toEqual([1, ''])
    expect(refused.stderr).toMatch(/^No server is running on .*start it/)
    // What a killed server leaves is nothing that is out of place.
    const verify = await runMillrace(['verify', '--data-dir', dataDir, '--json'])
    expect([verify.code, JSON.parse(verify.stdout).notices]).toEqual([0, 0])
    const second = await serve(dataDir, runtime)
    const saved = await runMillrace(['backup', target, '--data-dir', dataDir])
    expect([saved.code, saved.stdout.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^Saved 1 stream with 3 bytes, as of .* in .*backup$/),
    ])
    await new BackupLoad(second.url).fill(8, 1024 * 1024)
    const cut = await killedBackup(dataDir)
    expect((await runMillrace(['backup', cut, '--data-dir', dataDir])).code).toBe(0)
    await second.stop()
    expect(existsSync(socket)).toBe(false)
  }, 60_000)

  test.runIf(process.platform === 'linux')(
    'works below a very long path',
    async () => {
      const dataDir = join(newFolder(), 'd'.repeat(150))
      const server = await serve(dataDir, runtime)
      const saved = await runMillrace(['backup', join(newFolder(), 'b'), '--data-dir', dataDir])
      expect([saved.code, server.output().stderr]).toEqual([0, ''])
      await server.stop()
    },
    60_000,
  )
})

test('a server that can have no admin socket says so, and serves', async () => {
  const dataDir = join(newFolder(), 'data')
  await (await serve(dataDir)).stop()
  mkdirSync(join(dataDir, 'admin.sock', 'in-the-way'), { recursive: true })
  const server = await serve(dataDir)
  const created = await new StreamClient(server.url).send('PUT', 'a', { 'content-type': 'text/plain' })
  const { stderr } = await server.stop()
  expect(created.status).toBe(201)
  expect(stderr).toContain(`millrace backup is not available: there is no admin socket in ${dataDir}.`)
}, 60_000)

describe('a disk that is full', () => {
  test('breaks the backup off, and the same command goes on when there is room', async () => {
    const dataDir = join(newFolder(), 'data')
    const server = await serve(dataDir)
    await new BackupLoad(server.url).fill(4, 1024 * 1024)
    const target = join(newFolder(), 'backup')
    const args = ['backup', target, '--data-dir', dataDir]
    // No file may grow beyond 2,000 blocks of 512 or 1,024 bytes: the system refuses as it does on a full disk.
    const shell = spawn('sh', ['-c', `ulimit -f 2000; exec ${shellCommand(args)}`], {
      env: plainEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    shell.stderr.on('data', (piece) => {
      stderr += piece
    })
    const code = await new Promise((resolve) => shell.once('close', resolve))
    expect([code, stderr]).toEqual([2, expect.stringContaining(`There is no room left for ${target}`)])
    const again = await runMillrace([...args, '--json'])
    expect(again.code).toBe(0)
    expect(JSON.parse(again.stdout).reusedBytes).toBeGreaterThan(0)
    await server.stop()
  }, 60_000)
})

describe('what cannot be done is refused with a sentence', () => {
  test.each([
    [['backup'], 1, /missing required argument 'target'/],
    [['backup', 'b', '--retry-for', 'soon'], 1, /--retry-for.*400ms, 30s or 5m/],
    [['backup', 'b', '--data-dir', '/nowhere'], 1, /No server is running on \/nowhere/],
    [['backup', '/proc/self', '--data-dir', '/nowhere'], 1, /\/proc\/self is not empty and no backup/],
    [['restore', '/nowhere'], 2, /\/nowhere has no manifest\.json/],
    [['restore'], 1, /missing required argument 'backup'/],
  ])('%j', async (args, code, message) => {
    const exit = await runMillrace(args)
    expect([exit.code, exit.stdout]).toEqual([code, ''])
    expect(exit.stderr.replaceAll('\n', ' ')).toMatch(message)
    expect(exit.stderr).not.toMatch(/^\s+at /m)
  })
})
