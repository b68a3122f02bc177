/**
 * Starts a server under test as a child process of its own, learns its URL from what it prints,
 * and stops it by its own process id. Knows nothing of the server: any command that prints
 * `http://127.0.0.1:<port>` on stdout will do.
 */
import { type ChildProcess, spawn } from 'node:child_process'

const KEPT_OUTPUT_CHARS = 64 * 1024
const URL_PATTERN = /http:\/\/127\.0\.0\.1:\d+/

/** How to start a server; times are in milliseconds. */
export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  /** How long the server may take to print its URL; 20,000 unless given. */
  readonly startTimeoutMs?: number
  /** How long it may take to end after SIGTERM before it gets SIGKILL; 5,000 unless given. */
  readonly stopTimeoutMs?: number
  /** Besides the variables of this process. */
  readonly environment?: Readonly<Record<string, string>>
  /** Removed once the server is gone. */
  readonly temporaryFolder?: string
}

/** A running server. */
export interface ServerProcess {
  /** Origin without a trailing slash. */
  readonly url: string
  readonly pid: number
  /** Resolves when the process is gone; rejects if it had ended before it was asked to. */
  stop(): Promise<'ended' | 'killed'>
  /** Ends it with SIGKILL, as a crash would, and resolves when the process is gone. */
  kill(): Promise<void>
}

interface Output {
  text: string
}

/**
 * Resolves when the server has printed its URL. Rejects, with what it printed, when it ends before
 * that or takes too long; in both cases no process is left behind.
 */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const child = spawn(command.command, [...command.args], {
    cwd: command.cwd,
    env: { ...process.env, ...command.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = keepOutput(child)
  const ended = whenEnded(child)
  const killWithParent = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithParent)
  void ended.then(() => process.off('exit', killWithParent))

  const startTimeoutMs = command.startTimeoutMs ?? 20_000
  const outcome = await Promise.race([printedUrl(child), ended, after(startTimeoutMs)])
  const { pid } = child
  if (outcome.kind === 'url' && pid !== undefined) {
    const stop = (): ReturnType<ServerProcess['stop']> => stopServer(command, child, ended, output)
    return { url: outcome.url, pid, stop, kill: () => killServer(child, ended) }
  }
  const why = outcome.kind === 'ended' ? outcome.how : `printed no URL within ${startTimeoutMs} ms`
  child.kill('SIGKILL')
  await ended
  throw new Error(describe(command, why, output))
}

async function stopServer(
  command: ServerCommand,
  child: ChildProcess,
  ended: Promise<Ended>,
  output: Output,
): Promise<'ended' | 'killed'> {
  if (child.exitCode !== null || child.signalCode !== null) {
    throw new Error(describe(command, `${(await ended).how} before it was stopped`, output))
  }
  child.kill('SIGTERM')
  const first = await Promise.race([ended, after(command.stopTimeoutMs ?? 5_000)])
  if (first.kind === 'ended') return 'ended'
  child.kill('SIGKILL')
  await ended
  return 'killed'
}

async function killServer(child: ChildProcess, ended: Promise<Ended>): Promise<void> {
  child.kill('SIGKILL')
  await ended
}

interface Ended {
  readonly kind: 'ended'
  readonly how: string
}

function whenEnded(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ kind: 'ended', how: `could not be started: ${error.message}` }))
    child.once('close', (code, signal) =>
      resolve({ kind: 'ended', how: signal === null ? `ended with code ${code}` : `ended by ${signal}` }),
    )
  })
}

function printedUrl(child: ChildProcess): Promise<{ readonly kind: 'url'; readonly url: string }> {
  return new Promise((resolve) => {
    let printed = ''
    const look = (chunk: Buffer): void => {
      printed += chunk.toString()
      // The URL is taken once something follows it, so that a chunk border cannot shorten the port.
      const url = URL_PATTERN.exec(printed.slice(0, printed.lastIndexOf('\n') + 1))?.[0]
      if (url === undefined) return
      child.stdout?.off('data', look)
      resolve({ kind: 'url', url })
    }
    child.stdout?.on('data', look)
  })
}

function keepOutput(child: ChildProcess): Output {
  const output: Output = { text: '' }
  const keep = (chunk: Buffer): void => {
    output.text = (output.text + chunk.toString()).slice(-KEPT_OUTPUT_CHARS)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return output
}

function after(delayMs: number): Promise<{ readonly kind: 'late' }> {
  return new Promise((resolve) => {
    setTimeout(() => resolve({ kind: 'late' }), delayMs).unref()
  })
}

function describe(command: ServerCommand, why: string, output: Output): string {
  const line = [command.command, ...command.args].join(' ')
  return `${line}: ${why}. It printed:\n${output.text === '' ? '(nothing)' : output.text}`
}
