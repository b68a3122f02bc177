/** Runs a check in a process of its own, and tells how it ended, whatever it died of. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type CheckMessage, type CheckTask, NEXT } from './check-task.ts'

/** How a check ended. `died`: the process was ended by what it read; `silent`: it was ended because it hung. */
export type CheckEnd =
  | Extract<CheckMessage, { kind: 'done' | 'failed' }>
  | { readonly kind: 'died'; readonly how: string }
  | { readonly kind: 'silent'; readonly afterMs: number }

/** How long a checking process may say nothing. */
export const SILENCE_MS = 60_000

/** Starts a check; `hear` gets its messages in order, and rows are sent only once it has taken those before. */
export function runCheck(
  task: CheckTask,
  hear: (message: CheckMessage) => Promise<void> | void,
  silenceMs: number,
): Promise<CheckEnd> {
  const child = fork(scriptPath(), [], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  return new Promise((resolve, reject) => {
    let end: CheckEnd | undefined
    let heard: Promise<void> = Promise.resolve()
    const giveUp = (): void => {
      end = { kind: 'silent', afterMs: silenceMs }
      child.kill('SIGKILL')
    }
    let watchdog = setTimeout(giveUp, silenceMs)
    const fail = (error: unknown): void => {
      child.kill('SIGKILL')
      reject(error)
    }
    child.on('message', (message: CheckMessage) => {
      clearTimeout(watchdog)
      if (message.kind === 'done' || message.kind === 'failed') end = message
      heard = heard.then(async () => {
        await hear(message)
        if (message.kind !== 'streams') return
        // Only now does the other side have something to do again.
        watchdog = setTimeout(giveUp, silenceMs)
        if (child.connected) child.send(NEXT)
      })
      heard.catch(fail)
      if (message.kind !== 'streams') watchdog = setTimeout(giveUp, silenceMs)
    })
    child.once('error', fail)
    child.once('close', (code, signal) => {
      clearTimeout(watchdog)
      const died: CheckEnd = { kind: 'died', how: signal === null ? `exit code ${code}` : signal }
      heard.then(() => {
        clearTimeout(watchdog)
        resolve(end ?? died)
      }, reject)
    })
    child.send(task)
  })
}

/** Processes run what was built: sources in TypeScript have it beside them. */
function scriptPath(): string {
  const built = new URL('./check-child.js', import.meta.url)
  const path = fileURLToPath(built)
  return import.meta.url.endsWith('.ts')
    ? path.replace(/src([\\/])check-child\.js$/, 'dist$1check-child.js')
    : path
}
