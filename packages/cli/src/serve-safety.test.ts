/** What `millrace serve` does about strangers and about a disk without room, as a process. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import {
  plainEnvironment,
  type RunningMillrace,
  shellCommand,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const running: RunningMillrace[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((millrace) => millrace.stop('SIGKILL')))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function start(args: readonly string[]): Promise<RunningMillrace> {
  const millrace = await startMillrace(args)
  running.push(millrace)
  return millrace
}

/** Addresses of this machine that are not loopback's first one, but lead to it. */
function otherAddresses(): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap((one) => one ?? [])
  return [
    '127.0.0.2',
    ...own.filter(({ family, internal }) => family === 'IPv4' && !internal).map((one) => one.address),
  ]
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

test('R-343: nobody outside the machine reaches a server that was not told to let them', async () => {
  const { url, output } = await start(['serve', '--port', '0', '--storage', 'memory'])
  const port = Number(new URL(url).port)
  const reached = await Promise.all(otherAddresses().map((address) => accepts(address, port)))

  expect(await accepts('127.0.0.1', port)).toBe(true)
  expect(reached).toEqual(reached.map(() => false))
  expect(output().stderr).toBe('')
})

test('R-343: a server does not listen for others before somebody has decided who may use it', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-open-'))
  folders.push(dataDir)
  const command = shellCommand(['serve', '--port', '0', '--host', '0.0.0.0', '--data-dir', dataDir])
  const { code, stderr } = await shell(command)

  expect(code).toBe(1)
  expect(stderr).toMatch(/^--host: Others can reach 0\.0\.0\.0: .*--auth none/)
  expect(stderr).not.toMatch(/^\s+at /m)
})

test('R-343: a server that listens for others by choice warns that anybody can read and write', async () => {
  const args = ['serve', '--port', '0', '--storage', 'memory', '--host', '0.0.0.0', '--auth', 'none']
  const server = await start(args)
  const { stderr } = await server.stop()

  expect(stderr).toMatch(/Anybody who can reach this address can read and write/)
})

test('says in a sentence that there is no room to start, and what to do', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-full-'))
  folders.push(dataDir)
  // No file may be as large as a journal segment: what the system then says is the same as for a full disk.
  const command = `ulimit -f 20000; exec ${shellCommand(['serve', '--port', '0', '--data-dir', dataDir])}`
  const { code, stderr } = await shell(command)
  const left = readdirSync(join(dataDir, 'journal'))

  expect(code).toBe(1)
  expect(stderr).toMatch(/^There is no room to start in .*: free 96 MiB on its disk and start again\./)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(left).toEqual([])
})

function shell(command: string): Promise<{ readonly code: unknown; readonly stderr: string }> {
  return new Promise((resolve) => {
    const options = { env: plainEnvironment(), timeout: 20_000 }
    execFile('sh', ['-c', command], options, (error, _, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    )
  })
}
