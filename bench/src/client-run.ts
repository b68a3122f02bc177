/**
 * Measures our client and the published one, each a process of its own, against the same server processes. Every round
 * does every task with every performer, in rotated order; every result is checked, outside the time.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { TaskReport } from './client-process.ts'
import { type ClientSample, clientTable, summariseClients } from './client-table.ts'
import { fetchedPages, type Performer, TASKS, type Task, type TaskRequest } from './client-tasks.ts'
import type { MeasuredTable } from './measured-table.ts'
import { EVENT_BYTES, eventText, problemOfPages } from './numbered-events.ts'
import { UsageMeter } from './process-usage.ts'
import { scriptPath } from './server-process.ts'
import { startTarget, type TargetName, type TargetProcess } from './target-process.ts'

export interface ClientRunOptions {
  readonly targets: readonly TargetName[]
  readonly root: string
  readonly events: number
  readonly rounds: number
}

const CLIENTS: readonly Performer[] = ['millrace', 'published']
const FLOORS: readonly Performer[] = ['parse-text', 'parse-bytes', 'fetch']
/** A client that never finishes is an error of the run, not a wait without end. */
const TASK_TIMEOUT_MS = 300_000
const EVENTS_PER_APPEND = 5_000
const contentType = 'application/json'

interface ClientProcess {
  perform(request: TaskRequest): Promise<TaskReport>
  stop(): void
}

async function startClient(): Promise<ClientProcess> {
  const child = fork(scriptPath('./client-process.js'), [], {
    execArgv: ['--expose-gc'],
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`the client process ended with ${code}`)
  })
  // Whoever waits hears of it; after `stop` nobody does.
  ended.catch(() => {})
  await Promise.race([once(child, 'message'), ended])
  return {
    async perform(request) {
      const signal = AbortSignal.timeout(TASK_TIMEOUT_MS)
      const answer = once(child, 'message', { signal }).catch((cause: unknown) => {
        const { task, performer } = request
        throw new Error(`${task}, ${performer}: not finished within ${TASK_TIMEOUT_MS / 1000} s`, { cause })
      })
      child.send(request)
      const [report] = await Promise.race([answer, ended])
      return report as TaskReport
    },
    stop: () => {
      child.kill()
    },
  }
}

function urlOf({ origin }: TargetProcess, name: string): string {
  return `http://${origin.host}:${origin.port}/v1/stream/${name}`
}

async function send(method: string, url: string, body?: string): Promise<void> {
  const answer = await fetch(url, {
    method,
    headers: { 'content-type': contentType },
    ...(body !== undefined && { body }),
  })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`${method} ${url} was answered with ${answer.status}`)
}

async function fill(url: string, events: number): Promise<void> {
  await send('PUT', url)
  for (let from = 0; from < events; from += EVENTS_PER_APPEND) {
    const length = Math.min(EVENTS_PER_APPEND, events - from)
    const texts = Array.from({ length }, (_, i) => eventText(from + i))
    await send('POST', url, `[${texts.join(',')}]`)
  }
}

/** What the server has stored, read without a client. */
async function storedProblem(url: string, events: number): Promise<string | undefined> {
  const pages: Uint8Array[] = []
  for await (const page of fetchedPages(url)) pages.push(page)
  return problemOfPages(Buffer.concat(pages), events)
}

function performersOf(task: Task): readonly Performer[] {
  return task === 'json' || task === 'subscribeJson' ? [...CLIENTS, ...FLOORS] : CLIENTS
}

interface Run {
  readonly events: number
  readonly clients: ReadonlyMap<Performer, ClientProcess>
  readonly problems: string[]
}

async function measureOnce(
  { events, clients, problems }: Run,
  server: TargetProcess,
  task: Task,
  performer: Performer,
  round: number,
): Promise<ClientSample> {
  const client = clients.get(performer)
  if (client === undefined) throw new Error(`no process for ${performer}`)
  const isWrite = task === 'produce'
  const url = urlOf(server, isWrite ? `written-${performer}-${round}` : 'replayed')
  if (isWrite) await send('PUT', url)
  const meter = new UsageMeter(server.pid)
  const { wallMs, cpuMs, problem } = await client.perform({ task, performer, url, events })
  const { serverCpuMs } = meter.finish()
  const wrong = problem ?? (isWrite ? await storedProblem(url, events) : undefined)
  if (wrong !== undefined) {
    problems.push(`${task}, ${performer} on ${server.name}, round ${round}: ${wrong}`)
  }
  if (isWrite) await send('DELETE', url)
  return { server: server.name, task, performer, round, wallMs, clientCpuMs: cpuMs, serverCpuMs }
}

async function measureServer(
  run: Run,
  server: TargetProcess,
  rounds: number,
  progress: (text: string) => void,
): Promise<ClientSample[]> {
  const samples: ClientSample[] = []
  await fill(urlOf(server, 'replayed'), run.events)
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const task of TASKS) {
      const performers = performersOf(task)
      for (let turn = 0; turn < performers.length; turn += 1) {
        const performer = performers[(round + turn) % performers.length]
        if (performer === undefined) continue
        progress(`${server.name}: round ${round} of ${rounds}, ${task}, ${performer}`)
        const sample = await measureOnce(run, server, task, performer, round)
        if (round > 0) samples.push(sample)
      }
    }
  }
  return samples
}

/** `progress` hears one line for each measurement that starts. */
export async function measureClients(
  options: ClientRunOptions,
  progress: (text: string) => void,
): Promise<MeasuredTable> {
  const { targets, root, events, rounds } = options
  const samples: ClientSample[] = []
  const problems: string[] = []
  for (const name of targets) {
    const server = await startTarget(name, root)
    const clients = new Map<Performer, ClientProcess>()
    try {
      for (const performer of [...CLIENTS, ...FLOORS]) clients.set(performer, await startClient())
      samples.push(...(await measureServer({ events, clients, problems }, server, rounds, progress)))
    } finally {
      for (const client of clients.values()) client.stop()
      await server.stop()
    }
  }
  const rows = summariseClients(samples, events)
  return {
    title: `Clients: ${events} events of ${EVENT_BYTES} bytes, ${rounds} paired rounds, medians`,
    rows: clientTable(rows),
    values: { events, rounds, rows, samples },
    problems,
  }
}
