/** A server as a child process: started, asked by its URL, stopped cleanly or killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Origin, parseOrigin } from './http-connection.ts'

export interface ServerCommand {
  readonly name: string
  /** Arguments for this Node. */
  readonly args: readonly string[]
  readonly directory: string
  /** True when the parent talks to it by messages. */
  readonly hasChannel?: boolean
}

const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 120_000
const MAX_OUTPUT = 100_000

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function scriptPath(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

export class ServerProcess {
  readonly name: string
  readonly origin: Origin
  readonly pid: number
  /** What it printed until it was ready. */
  readonly greeting: string
  readonly child: ChildProcess

  private constructor(name: string, child: ChildProcess, pid: number, url: string, greeting: string) {
    this.name = name
    this.child = child
    this.pid = pid
    this.origin = parseOrigin(url)
    this.greeting = greeting
  }

  /** Resolves when the server has printed where it listens. */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const { name, args, directory, hasChannel = false } = command
    const child = spawn(process.execPath, [...args], {
      cwd: directory,
      stdio: hasChannel ? ['pipe', 'pipe', 'pipe', 'ipc'] : ['pipe', 'pipe', 'pipe'],
    })
    running.add(child)
    child.on('exit', () => running.delete(child))
    try {
      const { url, greeting } = await readUrl(name, child)
      if (child.pid === undefined) throw new Error(`${name} has no process id`)
      return new ServerProcess(name, child, child.pid, url, greeting)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  /** Asks it to stop; resolves once it has ended. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** Ends it at once, as a crash would. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  #end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      child.on('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      child.kill(signal)
    })
  }
}

/** The first URL that the child prints on standard output, and all it printed before. */
function readUrl(name: string, child: ChildProcess): Promise<{ url: string; greeting: string }> {
  return new Promise((resolve, reject) => {
    let output = ''
    let errors = ''
    const fail = (reason: string): void => {
      clearTimeout(timer)
      reject(new Error(`${name} did not start: ${reason} ${errors.slice(0, 2_000)}`))
    }
    const timer = setTimeout(() => fail(`no URL within ${START_TIMEOUT_MS} ms.`), START_TIMEOUT_MS)
    child.stdout?.on('data', (bytes: Buffer) => {
      if (output.length > MAX_OUTPUT) return
      output += bytes.toString('utf8')
      const url = /http:\/\/[\w.[\]:-]+:\d+/.exec(output)
      if (url === null) return
      clearTimeout(timer)
      resolve({ url: url[0], greeting: output })
    })
    child.stderr?.on('data', (bytes: Buffer) => {
      if (errors.length < MAX_OUTPUT) errors += bytes.toString('utf8')
    })
    child.on('exit', (code) => fail(`it ended with ${code}.`))
    child.on('error', (error) => fail(error.message))
  })
}
