/** Starts the servers to compare as child processes, each in a new temporary directory, and stops them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseOrigin } from './http-connection.ts'
import type { ServerUnderTest } from './scenario.ts'

export const TARGET_NAMES = ['bare', 'upstream', 'millrace'] as const
export type TargetName = (typeof TARGET_NAMES)[number]

export interface TargetProcess extends ServerUnderTest {
  /** Resolves once the process has ended and its directory is gone. */
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 15_000
const STOP_TIMEOUT_MS = 10_000

/** Children that have not been stopped yet, with their directories. */
const running = new Map<ChildProcess, string>()
process.on('exit', () => {
  for (const [child, directory] of running) {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
})

function scriptPath(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

function commandOf(name: TargetName): readonly string[] {
  switch (name) {
    case 'bare':
      return [scriptPath('./bare-server.js')]
    case 'upstream':
      return [scriptPath('./upstream-server.js')]
    case 'millrace': {
      const command = scriptPath('../../packages/cli/bin/millrace.js')
      return [command, 'serve', '--port', '0', '--storage', 'memory']
    }
  }
}

/** The first URL that the child prints on standard output. */
function readUrl(name: string, child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    let errors = ''
    const fail = (reason: string): void => {
      clearTimeout(timer)
      reject(new Error(`${name} did not start: ${reason} ${errors.slice(0, 2_000)}`))
    }
    const timer = setTimeout(() => fail(`no URL within ${START_TIMEOUT_MS} ms.`), START_TIMEOUT_MS)
    child.stdout?.on('data', (bytes: Buffer) => {
      if (output.length > 100_000) return
      output += bytes.toString('utf8')
      const url = /http:\/\/[\w.[\]:-]+:\d+/.exec(output)
      if (url === null) return
      clearTimeout(timer)
      resolve(url[0])
    })
    child.stderr?.on('data', (bytes: Buffer) => {
      if (errors.length < 100_000) errors += bytes.toString('utf8')
    })
    child.on('exit', (code) => fail(`it ended with ${code}.`))
    child.on('error', (error) => fail(error.message))
  })
}

function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    child.on('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

export async function startTarget(name: TargetName): Promise<TargetProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const child = spawn(process.execPath, [...commandOf(name)], {
    cwd: directory,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  running.set(child, directory)
  const stop = async (): Promise<void> => {
    await stopChild(child)
    running.delete(child)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const url = await readUrl(name, child)
    if (child.pid === undefined) throw new Error(`${name} has no process id`)
    return { name, origin: parseOrigin(url), pid: child.pid, stores: name !== 'bare', stop }
  } catch (error) {
    await stop()
    throw error
  }
}
