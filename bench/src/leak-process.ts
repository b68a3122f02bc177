/** The parent's side of the leak server: starts it, asks it, stops it. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Origin, parseOrigin } from './http-connection.ts'
import type { LeakQuestion, ServerStatistics } from './leak-server.ts'

const ANSWER_TIMEOUT_MS = 15_000
const MAX_ERROR_TEXT = 1_000

export type LeakTarget = 'millrace' | 'upstream'

/** What a server wrote to standard error: how much, and the beginning of it. */
export interface ErrorOutput {
  bytes: number
  text: string
}

function collectErrors(child: ChildProcess): ErrorOutput {
  const output: ErrorOutput = { bytes: 0, text: '' }
  child.stderr?.on('data', (bytes: Buffer) => {
    output.bytes += bytes.length
    if (output.text.length < MAX_ERROR_TEXT) output.text += bytes.toString('utf8')
  })
  return output
}

export class LeakProcess {
  readonly origin: Origin
  readonly pid: number
  readonly errors: ErrorOutput
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string, errors: ErrorOutput) {
    this.#child = child
    this.origin = parseOrigin(url)
    this.pid = child.pid ?? 0
    this.errors = errors
  }

  static async start(target: LeakTarget): Promise<LeakProcess> {
    const script = fileURLToPath(new URL('./leak-server.js', import.meta.url))
    const child = fork(script, [target], {
      execArgv: ['--expose-gc'],
      stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
    })
    process.on('exit', () => child.kill('SIGKILL'))
    const errors = collectErrors(child)
    try {
      const answer = await nextAnswer(child, 'listening')
      return new LeakProcess(child, 'url' in answer ? String(answer.url) : '', errors)
    } catch (cause) {
      child.kill('SIGKILL')
      throw new Error(`the server did not start. ${errors.text}`, { cause })
    }
  }

  /** Heap in use after garbage collection. */
  async heapBytes(): Promise<number> {
    const { heap } = await this.#ask('heap')
    if (heap === undefined) throw new Error('the server did not tell its heap')
    return heap
  }

  statistics(): Promise<ServerStatistics> {
    return this.#ask('statistics')
  }

  async #ask(question: LeakQuestion): Promise<ServerStatistics> {
    const answer = nextAnswer(this.#child, question)
    this.#child.send(question)
    const message = await answer
    return 'value' in message ? parseNumbers(message.value) : {}
  }

  stop(): Promise<void> {
    if (this.#child.exitCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#child.on('exit', () => resolve())
      this.#child.kill('SIGTERM')
    })
  }
}

function parseNumbers(value: unknown): ServerStatistics {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter((entry) => typeof entry[1] === 'number'))
}

function nextAnswer(child: ChildProcess, question: string): Promise<object> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
    }
    const onMessage = (message: unknown): void => {
      if (typeof message !== 'object' || message === null) return
      if (!('question' in message) || message.question !== question) return
      done()
      resolve(message)
    }
    const onExit = (code: number | null): void => {
      done()
      reject(new Error(`the server ended with ${code} before it answered "${question}"`))
    }
    const timer = setTimeout(() => {
      done()
      reject(new Error(`no answer to "${question}" within ${ANSWER_TIMEOUT_MS} ms`))
    }, ANSWER_TIMEOUT_MS)
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}
