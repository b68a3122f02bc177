/** The chat app as a process of its own, which tests may kill. */
import { type ChildProcess, spawn } from 'node:child_process'

const program = new URL('../dist/main.js', import.meta.url).pathname

/** A running app. */
export interface AppProcess {
  readonly url: string
  /** Resolves with the exit code once the process is gone; null if the signal ended it. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>
}

/** Resolves once the app has printed its URL; rejects with its output if it ends before. */
export async function startAppProcess(dataDir: string, tokenMs: number): Promise<AppProcess> {
  const flags = ['--port', '0', '--data-dir', dataDir, '--token-ms', String(tokenMs)]
  const child = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return {
    url: await urlOf(child),
    end(signal) {
      child.kill(signal)
      return exited
    },
  }
}

function urlOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.once('exit', (code) => reject(new Error(`The app ended with ${code}: ${output}`)))
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(output) ?? []
      if (url !== undefined) resolve(url)
    })
  })
}
