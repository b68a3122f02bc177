/** A client as a process of its own: does one task after the other as its parent asks, and says what it took. */
import { stopWithParent } from './child-server.ts'
import { prepareTask, type TaskRequest } from './client-tasks.ts'
import { eventText } from './numbered-events.ts'

/** What one task took; `problem` when its result was wrong or it failed. */
export interface TaskReport {
  readonly wallMs: number
  /** CPU time of this process, all threads. */
  readonly cpuMs: number
  readonly problem?: string
}

let texts: readonly string[] = []

async function perform(request: TaskRequest): Promise<TaskReport> {
  if (texts.length !== request.events) {
    texts = Array.from({ length: request.events }, (_, n) => eventText(n))
  }
  const timed = await prepareTask(request, texts)
  // Each begins without the garbage of the last.
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const problemOf = await timed()
  const wallMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpu)
  const problem = problemOf()
  return { wallMs, cpuMs: (user + system) / 1000, ...(problem !== undefined && { problem }) }
}

process.on('message', (request: TaskRequest) => {
  perform(request).then(
    (report) => process.send?.(report),
    (error: unknown) => process.send?.({ wallMs: 0, cpuMs: 0, problem: String(error) } satisfies TaskReport),
  )
})
stopWithParent()
process.send?.('ready')
