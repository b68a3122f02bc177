/**
 * A real server under load, killed with SIGKILL again and again and started on the same directory. Everything is
 * drawn from one seed: what is written, and when and how the server is killed. (When a request arrives is up to the
 * machine, so a seed gives the same kind of run, not the same run.)
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyStore } from '@millrace/storage-file'
import { checkClient, checkSighting } from './kill-check.fixture.ts'
import { KillClient } from './kill-client.fixture.ts'
import { type Sighting, watchStream } from './kill-reader.fixture.ts'
import {
  ON_BUN,
  ON_NODE,
  type Program,
  type RunningMillrace,
  SMALL_ON_BUN,
  SMALL_ON_NODE,
  startAndKill,
  startMillrace,
} from './millrace-process.fixture.ts'

const CLIENTS = 16
const KINDS = ['load', 'start', 'stop'] as const

/** When a kill comes: under load, while the server starts, or while it stops. */
export type KillKind = (typeof KINDS)[number]

/** What a run is made of. */
export interface KillPlan {
  readonly kills: number
  readonly storage: 'file-durable' | 'file-fast'
  readonly seed: number
  /** What the servers run on; Node unless given. */
  readonly runtime?: 'node' | 'bun'
  /** Told where the data of a run that went wrong was left. Without it nothing is left. */
  readonly onLeft?: (dataDir: string) => void
  /** Told after each kill and the checks that follow it. */
  readonly onKill?: (report: KillReport) => void
  /** Called with the data directory while no server runs on it. */
  readonly onDead?: (dataDir: string) => void
}

/** What the rounds found wrong, and how much there was to find. */
export interface KillReport {
  readonly violations: readonly string[]
  readonly kills: Readonly<Record<KillKind, number>>
  /** Acknowledged operations by name. */
  readonly acknowledged: Readonly<Record<string, number>>
  /** Requests that were under way at a kill, and of those the ones that turned out to be done. */
  readonly unanswered: { readonly all: number; readonly done: number }
  /** Pieces of streams that readers had seen and that were looked for afterwards. */
  readonly sightings: number
  /** Writes that starts read back from the journal. */
  readonly replayed: number
  /** Number of the newest block file: how far checkpoints have come. */
  readonly blockFiles: number
}

/** Numbers from 0 to 1 that look random and are the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What a kill leaves may be unfinished, but is not damaged. */
async function damageIn(dataDir: string): Promise<readonly string[]> {
  const { findings } = await verifyStore({ dataDir })
  return findings.filter(({ severity }) => severity === 'error').map((finding) => JSON.stringify(finding))
}

/** Kills a loaded server as often as planned, and compares it with all histories after each start. */
export async function killRounds(plan: KillPlan): Promise<KillReport> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
  let isGood = false
  try {
    const report = await new KillRun(plan, dataDir).all()
    isGood = report.violations.length === 0
    return report
  } finally {
    if (isGood || plan.onLeft === undefined) rmSync(dataDir, { recursive: true, force: true })
    else plan.onLeft(dataDir)
  }
}

class KillRun {
  readonly #plan: KillPlan
  readonly #dataDir: string
  readonly #args: readonly string[]
  readonly #random: () => number
  readonly #clients: readonly KillClient[]
  readonly #violations: string[] = []
  readonly #kills = { load: 0, start: 0, stop: 0 }
  #sightings: readonly Sighting[] = []
  #sightingsChecked = 0
  #unanswered = 0
  #unansweredDone = 0
  #replayed = 0

  constructor(plan: KillPlan, dataDir: string) {
    this.#plan = plan
    this.#dataDir = dataDir
    this.#args = ['serve', '--port', '0', '--storage', plan.storage, '--data-dir', this.#dataDir]
    this.#random = seededRandom(plan.seed)
    this.#clients = Array.from(
      { length: CLIENTS },
      (_, index) => new KillClient(index, seededRandom(plan.seed * 1000 + index)),
    )
  }

  async all(): Promise<KillReport> {
    for (let round = 0; ; round++) {
      const server = await startMillrace(this.#args, {}, this.#program(round))
      this.#replayed += replayedBy(server)
      await this.#check(server.url)
      if (round > 0) this.#plan.onKill?.(this.#report())
      if (round >= this.#plan.kills || this.#violations.length > 0) {
        await server.stop()
        return this.#report()
      }
      await this.#loadAndKill(server, round)
    }
  }

  /** The usual sizes and small ones in turn, on one directory. */
  #program(round: number): Program {
    if (this.#plan.runtime === 'bun') return round % 2 === 0 ? SMALL_ON_BUN : ON_BUN
    return round % 2 === 0 ? SMALL_ON_NODE : ON_NODE
  }

  async #loadAndKill(server: RunningMillrace, round: number): Promise<void> {
    const random = this.#random
    const draw = random()
    const kind: KillKind = draw < 0.6 ? 'load' : draw < 0.8 ? 'start' : 'stop'
    let isOver = false
    let left = Math.ceil(20 + random() * 150)
    let isLoaded = (): void => undefined
    const enough = new Promise<void>((resolve) => {
      isLoaded = resolve
    })
    const onDone = (): void => {
      if (--left === 0) isLoaded()
    }
    const loads = Promise.all(this.#clients.map((client) => client.load(server.url, onDone)))
    const watches = this.#clients.map((client) =>
      watchStream(server.url, client, client.random, () => isOver),
    )
    await Promise.race([enough, loads])
    await sleep(random() * 20)
    if (kind === 'stop') {
      server.signal('SIGTERM')
      await sleep(random() * 40)
    }
    server.signal('SIGKILL')
    isOver = true
    await loads
    this.#sightings = (await Promise.all(watches)).flat()
    await server.stop('SIGKILL')
    this.#violations.push(...(await damageIn(this.#dataDir)))
    this.#plan.onDead?.(this.#dataDir)
    // The server that finds out what happened is killed as well, somewhere between its first step and its greeting.
    if (kind === 'start') await startAndKill(this.#program(round + 1), this.#args, 80 + random() * 300)
    this.#kills[kind]++
  }

  async #check(url: string): Promise<void> {
    for (const client of this.#clients) {
      if (client.pending !== undefined) this.#unanswered++
      const { violations, wasDone } = await checkClient(url, client)
      if (wasDone) this.#unansweredDone++
      this.#violations.push(...violations, ...client.violations.splice(0))
    }
    const byPath = new Map(this.#clients.map((client) => [client.path, client]))
    for (const sighting of this.#sightings) {
      const client = byPath.get(sighting.path)
      if (client === undefined) continue
      this.#violations.push(...(await checkSighting(url, client, sighting)))
      this.#sightingsChecked++
    }
    this.#sightings = []
  }

  #report(): KillReport {
    const acknowledged: Record<string, number> = {}
    for (const { done } of this.#clients) {
      for (const [name, count] of done) acknowledged[name] = (acknowledged[name] ?? 0) + count
    }
    const blocks = readdirSync(join(this.#dataDir, 'blocks')).map((name) => Number.parseInt(name, 10))
    return {
      violations: this.#violations,
      kills: { ...this.#kills },
      acknowledged,
      unanswered: { all: this.#unanswered, done: this.#unansweredDone },
      sightings: this.#sightingsChecked,
      replayed: this.#replayed,
      blockFiles: Math.max(0, ...blocks),
    }
  }
}

function replayedBy(server: RunningMillrace): number {
  return Number(/Recovered: (\d+) writes/.exec(server.output().stdout)?.[1] ?? 0)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
