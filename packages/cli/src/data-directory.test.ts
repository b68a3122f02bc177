/** One data directory and several processes: who gets it, who is refused with what words, and what is left alone. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type Exit,
  ON_BUN,
  ON_NODE,
  type Program,
  type RunningMillrace,
  runMillrace,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let folder: string
let dataDir: string
const running: RunningMillrace[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-directory-'))
  dataDir = join(folder, 'data')
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop('SIGKILL')))
  rmSync(folder, { recursive: true, force: true })
})

async function start(program: Program = ON_NODE): Promise<RunningMillrace> {
  const server = await startMillrace(serveArgs(), {}, program)
  running.push(server)
  return server
}

function refuse(program: Program = ON_NODE): Promise<Exit> {
  return runMillrace(serveArgs(), {}, program)
}

function serveArgs(): readonly string[] {
  return ['serve', '--port', '0', '--data-dir', dataDir]
}

const TEXT = { 'content-type': 'text/plain' }

async function append(server: RunningMillrace, body: string): Promise<number> {
  await fetch(`${server.url}/v1/stream/a`, { method: 'PUT', headers: TEXT })
  const answer = await fetch(`${server.url}/v1/stream/a`, { method: 'POST', headers: TEXT, body })
  return answer.status
}

async function read(server: RunningMillrace): Promise<string> {
  return (await fetch(`${server.url}/v1/stream/a`)).text()
}

/** Lock files say who looked last, which is no content; a socket has none. */
const WITHOUT_CONTENT = new Set(['LOCK', 'lock.mdb', 'admin.sock'])

/** Every entry with what it holds. */
function listing(path: string, prefix = ''): readonly string[] {
  return readdirSync(path)
    .sort()
    .flatMap((name) => {
      const entry = join(path, name)
      if (WITHOUT_CONTENT.has(name)) return [`${prefix}${name}`]
      if (statSync(entry).isDirectory()) return [`${prefix}${name}/`, ...listing(entry, `${prefix}${name}/`)]
      return [`${prefix}${name} ${createHash('sha256').update(readFileSync(entry)).digest('hex')}`]
    })
}

describe.each<[string, Program, Program]>([
  ['Node and Node', ON_NODE, ON_NODE],
  ['Node and Bun', ON_NODE, ON_BUN],
  ['Bun and Node', ON_BUN, ON_NODE],
])('two servers, on %s', (_, first, second) => {
  test('do not get the same directory, while the owner lives, even stopped', async () => {
    const owner = await start(first)
    await append(owner, 'one')
    const refused = await refuse(second)
    owner.signal('SIGSTOP')
    const refusedAgain = await refuse(second)
    owner.signal('SIGCONT')

    const sentence = `${dataDir} is in use by process ${owner.pid}. Stop it first, or choose another directory with --data-dir.\n`
    expect([refused.code, refused.stdout, refused.stderr]).toEqual([1, '', sentence])
    expect([refusedAgain.code, refusedAgain.stderr]).toEqual([1, sentence])
    expect([await append(owner, 'two'), await read(owner)]).toEqual([204, 'onetwo'])
  })

  test('get it one after the other, at once when the first was killed', async () => {
    const owner = await start(first)
    await append(owner, 'one')
    await owner.stop('SIGKILL')
    const next = await start(second)
    await append(next, 'two')
    await next.stop('SIGKILL')
    const last = await start(first)

    expect(await read(last)).toBe('onetwo')
  })
})

describe('a directory that cannot be served', () => {
  /** A directory with streams in blocks, home and journal, and nobody on it. */
  async function filled(): Promise<void> {
    const server = await start()
    await append(server, 'one')
    await server.stop()
  }

  test.each<[string, () => Promise<void> | void, RegExp]>([
    [
      'with files of somebody else',
      () => {
        mkdirSync(join(dataDir, 'photos'), { recursive: true })
        writeFileSync(join(dataDir, 'letter.txt'), 'dear')
      },
      /not empty and not Millrace's.*choose another/,
    ],
    [
      'of a later format',
      async () => {
        await filled()
        writeFileSync(join(dataDir, 'FORMAT'), 'millrace data directory, format 7\n')
      },
      /has format 7; this version reads format 1\. Use the version of Millrace that wrote it/,
    ],
    [
      'with the FORMAT file of another program',
      () => {
        mkdirSync(dataDir)
        writeFileSync(join(dataDir, 'FORMAT'), 'A4\n')
      },
      /FORMAT file that is not Millrace.s: choose another directory/,
    ],
    [
      'that has lost its FORMAT file',
      async () => {
        await filled()
        rmSync(join(dataDir, 'FORMAT'))
      },
      /not empty and not Millrace's/,
    ],
    [
      'that has lost its home',
      async () => {
        await filled()
        rmSync(join(dataDir, 'home'), { recursive: true })
      },
      /has lost .*home.*: put it back from a backup, or start with an empty directory/,
    ],
    [
      'that has lost what was in its home',
      async () => {
        await filled()
        rmSync(join(dataDir, 'home', 'data.mdb'))
      },
      /has lost .*data\.mdb.*: put it back from a backup, or start with an empty directory/,
    ],
    [
      'that has lost its journal since it was killed',
      async () => {
        const server = await start()
        await append(server, 'one')
        await server.stop('SIGKILL')
        rmSync(join(dataDir, 'journal'), { recursive: true })
      },
      /journal has lost its end: .* it has none\. .* nothing was changed: put the data directory back from a backup/,
    ],
    [
      'whose home is something else',
      async () => {
        await filled()
        writeFileSync(join(dataDir, 'home', 'data.mdb'), Buffer.alloc(65_536, 'no database '))
      },
      /home.* is damaged: put .* back from a backup/,
    ],
  ])('%s is refused with a sentence, and left as it was', async (_, make, sentence) => {
    await make()
    const before = listing(dataDir)
    const refused = await refuse()

    expect(refused.stderr.trim()).toMatch(sentence)
    expect([refused.code, refused.stdout, refused.stderr.trim().split('\n').length]).toEqual([1, '', 1])
    expect(listing(dataDir)).toEqual(before)
  })

  test('for want of room says so, and is served when there is some', async () => {
    const server = await start()
    await append(server, 'one')
    await server.stop('SIGKILL')
    // No file may be larger than 4 MiB, so no room is found for a new segment beside the one to be replayed.
    const small: Program = ['sh', '-c', 'ulimit -f 8192; exec "$0" "$@"', ...ON_NODE]
    const refused = await refuse(small)
    const again = await start()

    expect(refused.stderr.trim()).toMatch(/no room to start in .* start again\. .* still there\.$/)
    expect([refused.code, refused.stderr.trim().split('\n').length]).toEqual([1, 1])
    expect(await read(again)).toBe('one')
  })
})

describe('what a start says about the last stop', () => {
  test('is nothing on a new directory and after a clean stop', async () => {
    const first = await start()
    await append(first, 'one')
    const stopped = await first.stop()
    const second = await start()

    expect(stopped.code).toBe(0)
    expect(first.output().stdout + second.output().stdout).not.toContain('Recovered')
  })

  test('is how many writes were replayed after a kill, and the same again if the next start is killed at once', async () => {
    const first = await start()
    await append(first, 'one')
    await append(first, 'two')
    await first.stop('SIGKILL')
    const second = await start()
    const text = await read(second)
    await second.stop('SIGKILL')
    const third = await start()
    const thirdText = await read(third)
    await third.stop()
    const fourth = await start()

    // One creation and two appends; the second creation found the stream there.
    expect(second.output().stdout).toMatch(
      /^Recovered: 3 writes replayed from the journal\. Nothing acknowledged was lost\.\n/,
    )
    expect(second.output().stderr).toBe('')
    expect([text, thirdText, await read(fourth)]).toEqual(['onetwo', 'onetwo', 'onetwo'])
    expect(third.output().stdout).toContain('Recovered: 3 writes')
    expect(fourth.output().stdout).not.toContain('Recovered')
  })

  test('is how much was cut off when a write had been torn', async () => {
    const first = await start()
    await append(first, 'one')
    await first.stop('SIGKILL')
    const segment = join(dataDir, 'journal', '0000000001.seg')
    const bytes = readFileSync(segment)
    const end = bytes.lastIndexOf('one') + 3
    // The beginning of a record that never came to its end; records start at multiples of 8.
    bytes.copy(bytes, Math.ceil(end / 8) * 8, 64, 64 + 40)
    writeFileSync(segment, bytes)
    const second = await start()

    expect(second.output().stdout).toMatch(
      /^Recovered: 2 writes replayed from the journal\. \d+ bytes that were never acknowledged were cut off\. Nothing/,
    )
    expect(await read(second)).toBe('one')
  })
})
