import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { hasPostgres } from './world.fixture.ts'

const run = promisify(execFile)
const program = new URL('../dist/main.js', import.meta.url).pathname

let folder: string
let child: ChildProcess | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-gate-'))
  // PostgreSQL may run as another user than the test.
  await chmod(folder, 0o755)
})
afterEach(async () => {
  if (child?.exitCode === null && child.kill('SIGTERM')) await once(child, 'exit')
  child = undefined
  await rm(folder, { recursive: true, force: true })
})

it.each([
  [['--port', 'x'], '--port is a whole number from 0 to 65535, not x. Flags: '],
  [['--token-seconds', '0'], '--token-seconds is a whole number from 1 to 3600, not 0. Flags: '],
  [['--database', 'postgresql://x'], '--database and --data-dir go together. Flags: '],
  [['--app-url', 'https://app.example.com'], '--app-url and --streams-url go together, '],
  [['--app-url', 'https://a.example/', '--streams-url', 'https://b.example'], 'are written like https://app'],
])('refuses %j, and says what there is', async (flags, message) => {
  await expect(run(process.execPath, [program, ...flags])).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(message),
  })
})

it('says that no database answers, and nothing of its password', async () => {
  const database = ['--database', 'postgresql://app:hidden-word@127.0.0.1:1/app', '--data-dir', folder]
  await expect(run(process.execPath, [program, ...database])).rejects.toMatchObject({
    code: 1,
    stderr: 'No PostgreSQL answers: look at --database.\n',
  })
})

it.skipIf(!hasPostgres)(
  'runs with a PostgreSQL of its own, rotates keys on SIGHUP, and leaves nothing (needs postgres)',
  async () => {
    const started = spawn(process.execPath, [program, '--port', '0', '--streams-port', '0'], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    let [output, errors] = ['', '']
    started.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    started.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    const says = async (pattern: RegExp): Promise<string> => {
      for (;;) {
        const [, found] = pattern.exec(output) ?? []
        if (found !== undefined) return found
        await once(started.stdout, 'data')
      }
    }
    const url = await says(/Gatekeeper on (http:\S+),/)
    expect(await readdir(folder)).toHaveLength(1)
    const keys = async (): Promise<number> => {
      const { keys: published } = (await (await fetch(`${url}/jwks.json`)).json()) as { keys: object[] }
      return published.length
    }
    expect(await keys()).toBe(2)
    started.kill('SIGHUP')
    while ((await keys()) !== 3) await new Promise((resolve) => setTimeout(resolve, 20))

    started.kill('SIGTERM')
    const [code] = await once(started, 'close')
    expect([code, errors]).toEqual([0, ''])
    expect(await readdir(folder)).toEqual([])
  },
)
