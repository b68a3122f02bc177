/** Processes for tests that stop or kill one: a script of this folder on Node or on Bun, spoken to by lines. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll } from 'vitest'

/** What a script can run on. */
export const RUNTIMES = ['node', 'bun'] as const
export type Runtime = (typeof RUNTIMES)[number]

/** A process that was started by a test. */
export interface TestChild {
  readonly pid: number
  /** Every line that it has written so far. */
  readonly lines: readonly string[]
  /** The first line that it writes, or has written, at or after an index; rejects if it ends before. */
  line(index: number): Promise<string>
  signal(name: NodeJS.Signals): void
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>
}

const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const bun = join(packageFolder, '..', '..', 'node_modules', '.bin', 'bun')
const built = new Map<string, Promise<string>>()

afterAll(async () => {
  for (const file of built.values()) rmSync(await file, { force: true })
})

/** A folder of its own for a test; `remove` takes it away. */
export function makeTestFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** The command that runs a script. Node 20 reads no TypeScript: there the script and what it imports become one file. */
export async function childCommand(runtime: Runtime, script: URL): Promise<readonly [string, string]> {
  const source = fileURLToPath(script)
  if (runtime === 'bun') return [bun, source]
  const file = built.get(source) ?? buildScript(source)
  built.set(source, file)
  return [process.execPath, await file]
}

/** Below `node_modules`, so that packages are found from there and nothing of it is ever published. */
async function buildScript(source: string): Promise<string> {
  const folder = join(packageFolder, 'node_modules', '.test-children')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${basename(source, '.ts')}-${process.pid}.mjs`)
  const bundle = await rolldown({ input: source, platform: 'node', external: /^(?![./])/ })
  await bundle.write({ file, format: 'esm', codeSplitting: false })
  return file
}

/** Starts a script. The test ends it, by `signal`, whatever happens. */
export async function startChild(runtime: Runtime, script: URL, args: readonly string[]): Promise<TestChild> {
  const [command, file] = await childCommand(runtime, script)
  return followChild(spawn(command, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] }))
}

/** Follows the lines of a process that was started with its output piped. */
export function followChild(child: ChildProcess): TestChild {
  const { pid, stdout } = child
  if (pid === undefined || stdout === null) throw new Error('the process did not start')
  const lines: string[] = []
  let hasEnded = false
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const check of waiting) check()
  }
  createInterface({ input: stdout }).on('line', (line) => {
    lines.push(line)
    wake()
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      hasEnded = true
      wake()
      resolve()
    })
  })
  const line = (index: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const found = lines[index]
        if (found === undefined && !hasEnded) return
        waiting.delete(check)
        if (found === undefined) reject(new Error(`the process ended after ${lines.length} lines`))
        else resolve(found)
      }
      waiting.add(check)
      check()
    })
  return { pid, lines, line, signal: (name) => void process.kill(pid, name), ended }
}
