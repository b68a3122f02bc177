/**
 * Producers write numbered events through a bad network to a durable server that is killed again and again. In the end
 * the stream is read straight from the server, and every event has to be there once and in its producer's order.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { repositoryRoot } from './server-commands.ts'
import { type ServerCommand, type ServerProcess, startServer } from './server-process.ts'

/** One producer of the client under test. */
export interface EventWriter {
  /** Takes one JSON text. */
  append(text: string): void
  /** Resolves when there is room for more. */
  room(): Promise<void>
  flush(): Promise<void>
}

/** Makes a producer on a JSON stream; the id and the first epoch stay the same when a process is replaced. */
export type OpenWriter = (url: string, producerId: string, onError: (error: Error) => void) => EventWriter

export interface RunOptions {
  readonly open: OpenWriter
  readonly events: number
  readonly producers: number
  readonly seed: number
  /** The server is killed after so many requests, again and again. */
  readonly requestsPerKill: number
  /** How long the writers may take, in milliseconds; a client that is not done by then hangs. */
  readonly patienceMs: number
}

/** What the run found. Everything but the last four is wrong if it is not 0 or false. */
export interface RunReport {
  readonly lost: number
  readonly doubled: number
  readonly outOfOrder: number
  readonly foreign: number
  readonly reported: number
  readonly hung: boolean
  readonly stored: number
  readonly kills: number
  readonly requests: number
  readonly faults: Readonly<Record<Fault, number>>
}

interface StoredEvent {
  readonly p: number
  readonly n: number
}

const EVENTS_PER_TURN = 25
const JSON_TYPE = { 'content-type': 'application/json' }

/** One run; the same seed draws the same faults, though not at the same moments. */
export async function runExactlyOnce(options: RunOptions): Promise<RunReport> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-exactly-once-'))
  const site = new CrashingServer(dataDir)
  const random = seededRandom(options.seed)
  let proxy: FaultProxy | undefined
  try {
    await site.start()
    const path = '/v1/stream/exactly-once'
    await requireOk(fetch(site.url + path, { method: 'PUT', headers: JSON_TYPE }))
    proxy = await startFaultProxy({
      target: () => site.url,
      chooseFault: () => drawFault(random()),
      delayMs: () => random() * 20,
      onRequest: (count) => {
        if (count % options.requestsPerKill === 0) site.crash()
      },
    })
    const written = await writeAll(proxy.url + path, options)
    await site.settled()
    const stored = await readAll(site.url + path)
    const { counts, requests } = proxy
    return { ...written, ...judge(stored, options), kills: site.kills, requests, faults: counts }
  } finally {
    await proxy?.close()
    await site.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** About one request in three meets trouble. */
function drawFault(drawn: number): Fault {
  const shares: readonly (readonly [Fault, number])[] = [
    ['request-lost', 0.04],
    ['answer-lost', 0.04],
    ['reset-midway', 0.04],
    ['twice', 0.04],
    ['turned-away', 0.03],
    ['gateway-failed', 0.03],
    ['no-answer', 0.01],
    ['delay', 0.1],
  ]
  let left = drawn
  for (const [fault, share] of shares) {
    if (left < share) return fault
    left -= share
  }
  return 'none'
}

function durableServer(dataDir: string): ServerCommand {
  const millrace = join(repositoryRoot, 'packages', 'cli', 'bin', 'millrace.js')
  const args = [millrace, 'serve', '--port', '0', '--storage', 'file-durable', '--data-dir', dataDir]
  return { command: process.execPath, args, cwd: repositoryRoot }
}

/** A durable server that comes back after each crash, at an address of its own. */
class CrashingServer {
  readonly #dataDir: string
  #server: ServerProcess | undefined
  #restart: Promise<void> = Promise.resolve()
  #isDown = true
  kills = 0
  url = ''

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  async start(): Promise<void> {
    this.#server = await startServer(durableServer(this.#dataDir))
    this.url = this.#server.url
    this.#isDown = false
  }

  /** Kills it unless it is down already, and starts it again. */
  crash(): void {
    const server = this.#server
    if (this.#isDown || server === undefined) return
    this.#isDown = true
    this.kills++
    this.#restart = server.kill().then(() => this.start())
  }

  settled(): Promise<void> {
    return this.#restart
  }

  async stop(): Promise<void> {
    await this.#restart
    await this.#server?.stop()
  }
}

async function writeAll(
  url: string,
  { open, events, producers, patienceMs }: RunOptions,
): Promise<Pick<RunReport, 'reported' | 'hung'>> {
  let reported = 0
  const note = (): void => {
    reported++
  }
  const share = Math.floor(events / producers)
  const writers = Array.from({ length: producers }, (_, p) => writeShare(open, url, p, share, note))
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), patienceMs)
  })
  const outcome = await Promise.race([Promise.all(writers), late])
  clearTimeout(timer)
  return { reported, hung: outcome === 'late' }
}

/** Half of the events, then a new process with the same id and epoch writes the other half. */
async function writeShare(
  open: OpenWriter,
  url: string,
  p: number,
  share: number,
  note: () => void,
): Promise<void> {
  const middle = Math.floor(share / 2)
  for (const [from, to] of [
    [0, middle],
    [middle, share],
  ] as const) {
    const writer = open(url, `producer-${p}`, note)
    for (let n = from; n < to; n++) {
      writer.append(JSON.stringify({ p, n, pad: 'x'.repeat(n % 50) }))
      if (n % EVENTS_PER_TURN === 0) await turn()
      await writer.room()
    }
    await writer.flush().catch(note)
  }
}

/** Lets requests and answers pass between appends. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function judge(
  stored: readonly StoredEvent[],
  { events, producers }: RunOptions,
): Pick<RunReport, 'lost' | 'doubled' | 'outOfOrder' | 'foreign' | 'stored'> {
  const share = Math.floor(events / producers)
  let outOfOrder = 0
  let foreign = 0
  const seen = Array.from({ length: producers }, () => new Set<number>())
  const last = Array.from({ length: producers }, () => -1)
  for (const { p, n } of stored) {
    const numbers = seen[p]
    if (numbers === undefined || n < 0 || n >= share) {
      foreign++
      continue
    }
    if (n < (last[p] ?? -1)) outOfOrder++
    last[p] = n
    numbers.add(n)
  }
  const distinct = seen.reduce((sum, numbers) => sum + numbers.size, 0)
  return {
    lost: share * producers - distinct,
    doubled: stored.length - foreign - distinct,
    outOfOrder,
    foreign,
    stored: stored.length,
  }
}

async function readAll(url: string): Promise<readonly StoredEvent[]> {
  const events: StoredEvent[] = []
  let offset = '-1'
  for (;;) {
    const response = await requireOk(fetch(`${url}?offset=${offset}`))
    events.push(...JSON.parse(await response.text()))
    offset = response.headers.get('stream-next-offset') ?? offset
    if (response.headers.has('stream-up-to-date')) return events
  }
}

async function requireOk(answer: Promise<Response>): Promise<Response> {
  const response = await answer
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`)
  return response
}

function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
