/** Runs the built `millrace` command as people do: a process of its own, seen through its output and its exit. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const COMMAND = fileURLToPath(new URL('../bin/millrace.js', import.meta.url))
const BUN = fileURLToPath(new URL('../../../node_modules/.bin/bun', import.meta.url))
/** Generous: a process that takes longer is stuck. */
const PATIENCE_MS = 30_000

/** A command and its first arguments; those of `millrace` follow. */
export type Program = readonly [command: string, ...first: string[]]

/** The command as it is installed. */
export const ON_NODE: Program = [process.execPath, COMMAND]
/** The same on the other runtime. */
export const ON_BUN: Program = [BUN, COMMAND]

const SMALL_SERVER = builtScript(new URL('./small-store.fixture.js', import.meta.url))
/** `millrace serve` with a store so small that checkpoints and removals are always under way. */
export const SMALL_ON_NODE: Program = [process.execPath, SMALL_SERVER]
/** The same on the other runtime. */
export const SMALL_ON_BUN: Program = [BUN, SMALL_SERVER]

/** A script of this package as it was built: Node 20 reads no TypeScript. */
export function builtScript(script: URL): string {
  return fileURLToPath(new URL(`../dist/${basename(script.pathname)}`, script))
}

/** How a process ended, and everything it wrote. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Environment variables beside the few that every process needs. */
export type Environment = Readonly<Record<string, string>>

/** A server process that has said where it listens. */
export interface RunningMillrace {
  readonly url: string
  readonly pid: number | undefined
  /** Resolves when the process is gone. */
  readonly ended: Promise<Exit>
  /** What it has written so far. */
  output(): { readonly stdout: string; readonly stderr: string }
  /** Sends a signal and resolves when the process is gone; harmless when it is gone already. */
  stop(signal?: NodeJS.Signals): Promise<Exit>
  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void
}

/** The command line that starts `millrace`, for a shell. */
export function shellCommand(args: readonly string[]): string {
  return [...ON_NODE, ...args].map((part) => `'${part}'`).join(' ')
}

/** The environment of a user without preferences: no colour variables of the test runner or of a build server. */
export function plainEnvironment(more: Environment = {}): Environment {
  const { PATH = '', HOME = '' } = process.env
  return { PATH, HOME, TERM: 'xterm', ...more }
}

/** Files in the working directory of a command, by name. */
export type Files = Readonly<Record<string, string>>

/** Runs a command that ends by itself. */
export function runMillrace(
  args: readonly string[],
  environment: Environment = {},
  program: Program = ON_NODE,
  files: Files = {},
): Promise<Exit> {
  const child = start(program, args, environment, files)
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  const { over } = watch(child)
  over.then(() => clearTimeout(timer))
  return over
}

/** A command that ends by itself, seen before it has. */
export interface BegunMillrace {
  readonly over: Promise<Exit>
  /** Resolves when it has written something to stderr, or is over. */
  readonly hasSpoken: Promise<void>
  signal(signal: NodeJS.Signals): void
}

/** Begins a command that ends by itself. */
export function beginMillrace(args: readonly string[]): BegunMillrace {
  const child = start(ON_NODE, args, {})
  const { over } = watch(child)
  const hasSpoken = new Promise<void>((resolve) => {
    child.stderr?.once('data', () => resolve())
    over.then(() => resolve())
  })
  return { over, hasSpoken, signal: (signal) => void child.kill(signal) }
}

/** Starts a server and kills it after a while, whatever it is doing by then. */
export async function startAndKill(
  program: Program,
  args: readonly string[],
  afterMs: number,
): Promise<Exit> {
  const child = start(program, args, {})
  const { over } = watch(child)
  await Promise.race([over, new Promise((resolve) => setTimeout(resolve, afterMs))])
  child.kill('SIGKILL')
  return over
}

/** Starts a server, and resolves when it has printed its URL; rejects with what it printed if it ends before. */
export async function startMillrace(
  args: readonly string[],
  environment: Environment = {},
  program: Program = ON_NODE,
  files: Files = {},
): Promise<RunningMillrace> {
  const child = start(program, args, environment, files)
  const { over, output, printed } = watch(child)
  const url = await Promise.race([printed(/https?:\/\/[^\s/]+:\d+(?=\D)/), over, late()])
  if (typeof url !== 'string') {
    child.kill('SIGKILL')
    const { stdout, stderr } = output()
    throw new Error(`millrace ${args.join(' ')} did not start: ${stdout}${stderr}`)
  }
  return {
    url,
    pid: child.pid,
    ended: over,
    output,
    signal: (signal) => child.kill(signal),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const exit = await Promise.race([over, late()])
      if (exit !== undefined) return exit
      child.kill('SIGKILL')
      return over
    },
  }
}

function start(
  [command, ...first]: Program,
  args: readonly string[],
  environment: Environment,
  files: Files = {},
): ChildProcess {
  const env = plainEnvironment(environment)
  // Each process has a working directory of its own, and with it a data directory of its own.
  const cwd = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true })
    writeFileSync(join(cwd, name), text)
  }
  const child = spawn(command, [...first, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  child.once('exit', () => rmSync(cwd, { recursive: true, force: true }))
  // A test run that is broken off leaves no process behind.
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  return child
}

interface Watched {
  readonly over: Promise<Exit>
  output(): { readonly stdout: string; readonly stderr: string }
  printed(pattern: RegExp): Promise<string>
}

function watch(child: ChildProcess): Watched {
  let stdout = ''
  let stderr = ''
  let look = (): void => undefined
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
    look()
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  return {
    over: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
    }),
    output: () => ({ stdout, stderr }),
    printed: (pattern) =>
      new Promise((resolve) => {
        look = () => {
          const found = pattern.exec(stdout)?.[0]
          // The greeting is one write; its last line says that all of it is here.
          if (found !== undefined && stdout.includes('offset=-1')) resolve(found)
        }
        look()
      }),
  }
}

function late(): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), PATIENCE_MS).unref()
  })
}
