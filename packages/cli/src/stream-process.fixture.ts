/** A server in the test's process, and stream commands as processes of their own that work on it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer, type MillraceServer, memoryStorage, type ServerOptions } from '@millrace/server'
import { type Environment, ON_NODE, type Program, plainEnvironment } from './millrace-process.fixture.ts'

/** Generous: a command that takes longer is stuck. */
const PATIENCE_MS = 50_000

/** How a command ended, and every byte that it wrote. */
export interface Finished {
  readonly code: number | null
  readonly bytes: Buffer
  readonly stdout: string
  readonly stderr: string
}

/** A command under way. */
export interface Begun {
  readonly child: ChildProcess
  readonly over: Promise<Finished>
  /** Resolves once a text is among what was written to stdout; rejects when the command ends without it. */
  printed(text: string): Promise<void>
}

/** A server without streams, and commands that find it through the environment. */
export interface StreamWorld {
  readonly server: MillraceServer
  /** The root of the streams. */
  readonly url: string
  begin(args: readonly string[], environment?: Environment): Begun
  /** Runs a command to its end; without input, stdin is empty. */
  run(args: readonly string[], input?: string | Uint8Array, environment?: Environment): Promise<Finished>
  /** Runs a command that has to succeed, and gives what it printed. */
  good(args: readonly string[], input?: string | Uint8Array): Promise<string>
  close(): Promise<void>
}

/** Starts the server. The caller closes it. */
export async function startStreamWorld(options: Partial<ServerOptions> = {}): Promise<StreamWorld> {
  const server = await createServer({
    storage: memoryStorage(),
    port: 0,
    longPollTimeoutMs: 300,
    shutdownGraceMs: 100,
    ...options,
  })
  const url = `${server.url}/v1/stream`
  const begin = (args: readonly string[], environment: Environment = {}): Begun =>
    beginCommand(args, { MILLRACE_URL: url, ...environment })
  const run: StreamWorld['run'] = (args, input = '', environment = {}) => {
    const { child, over } = begin(args, environment)
    // A command that does not want its input goes without it.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
    return over
  }
  return {
    server,
    url,
    begin,
    run,
    async good(args, input) {
      const { code, stdout, stderr } = await run(args, input)
      if (code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${code}: ${stderr}`)
      return stdout
    },
    close: () => server.close(),
  }
}

/** Begins a command with nothing but the given environment. */
export function beginCommand(
  args: readonly string[],
  environment: Environment,
  [command, ...first]: Program = ON_NODE,
): Begun {
  const child = spawn(command, [...first, ...args], { env: plainEnvironment(environment) })
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  const chunks: Buffer[] = []
  let stderr = ''
  let look = (): void => undefined
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    look()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const over = new Promise<Finished>((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer)
      const bytes = Buffer.concat(chunks)
      resolve({ code, bytes, stdout: bytes.toString(), stderr })
    })
  })
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      look = () => {
        if (Buffer.concat(chunks).includes(text)) resolve()
      }
      look()
      over.then(({ code }) => reject(new Error(`ended with ${code} and without ${text}: ${stderr}`)))
    })
  return { child, over, printed }
}
