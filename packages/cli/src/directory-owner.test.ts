/** Who may use a data directory: one process at a time, and only a directory that is Millrace's own. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type RunningMillrace, runMillrace, startMillrace } from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 60_000 })

const BUN = fileURLToPath(new URL('../../../node_modules/.bin/bun', import.meta.url))
const RUNTIMES = [
  ['Node beside Node', process.execPath, process.execPath],
  ['Bun beside Node', process.execPath, BUN],
  ['Node beside Bun', BUN, process.execPath],
] as const

let dataDir = ''
const running: RunningMillrace[] = []

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-owner-'))
})
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

function args(): readonly string[] {
  return ['serve', '--port', '0', '--data-dir', dataDir]
}

async function start(runtime: string): Promise<RunningMillrace> {
  const server = await startMillrace(args(), {}, runtime)
  running.push(server)
  return server
}

async function put(server: RunningMillrace, name: string): Promise<number> {
  return (await fetch(`${server.url}/v1/stream/${name}`, { method: 'PUT' })).status
}

describe.each(RUNTIMES)('a directory that another process owns: %s', (_, first, second) => {
  test('is refused, also while its owner is stopped, and free at once when that was killed', async () => {
    const owner = await start(first)
    expect(await put(owner, 'a')).toBe(201)
    const refused = await runMillrace(args(), {}, second)
    owner.signal('SIGSTOP')
    const refusedAgain = await runMillrace(args(), {}, second)
    owner.signal('SIGCONT')
    for (const { code, stderr, stdout } of [refused, refusedAgain]) {
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/in use|owns|another process/i)
      expect(stderr).not.toMatch(/^ +at /m)
    }
    expect(await put(owner, 'b')).toBe(201)
    owner.signal('SIGSTOP')
    await owner.stop('SIGKILL')
    const heir = await start(second)
    expect([await put(heir, 'a'), await put(heir, 'b')]).toEqual([200, 200])
  })
})

/** Every file below a folder with its content, so that any change shows. */
function contentOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .sort()
    .map((name) => {
      const path = join(folder, name)
      if (statSync(path).isDirectory()) return `${name}/`
      return `${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
    })
}

/** A directory that a server has used. */
async function usedDirectory(): Promise<void> {
  const server = await start(process.execPath)
  await put(server, 'a')
  await server.stop()
}

const FOREIGN: readonly (readonly [string, () => Promise<void> | void, RegExp])[] = [
  [
    'files of somebody else',
    () => writeFileSync(join(dataDir, 'notes.txt'), 'mine'),
    /not empty.*notes\.txt.*another/s,
  ],
  [
    'another format',
    async () => {
      await usedDirectory()
      writeFileSync(join(dataDir, 'FORMAT'), 'millrace data directory, format 7\n')
    },
    /format 7.*version/s,
  ],
  [
    'a FORMAT of another program',
    () => writeFileSync(join(dataDir, 'FORMAT'), 'tape archive\n'),
    /FORMAT.*not Millrace.*another directory/s,
  ],
  [
    'a lost home',
    async () => {
      await usedDirectory()
      // A block file says that there was something to find.
      mkdirSync(join(dataDir, 'blocks'), { recursive: true })
      writeFileSync(join(dataDir, 'blocks', '0000000001.blk'), 'x')
      rmSync(join(dataDir, 'home'), { recursive: true })
    },
    /home.*backup/s,
  ],
]

describe('a directory that is refused', () => {
  test.each(FOREIGN)('with %s: says what to do, and nothing in it changes', async (_, make, sentence) => {
    await make()
    const before = contentOf(dataDir).filter((line) => !/^(?:LOCK|home)/.test(line))
    const exit = await runMillrace(args())
    expect([exit.code, exit.stdout]).toEqual([1, ''])
    expect(exit.stderr).toMatch(sentence)
    expect(exit.stderr).not.toMatch(/^ +at /m)
    const after = contentOf(dataDir).filter((line) => !/^(?:LOCK|home)/.test(line))
    expect(after).toEqual(before)
  })
})
