/**
 * The longest turn of a server's event loop under load: in memory, with a store that never makes a checkpoint, and
 * with one that makes them. What is longer only in the last one is the checkpoints' doing.
 */
import { plainFormat } from './append-format.ts'
import { AppendLoad } from './append-load.ts'
import { makeDirectory, removeDirectory } from './data-directory.ts'
import type { LongTurn } from './loop-probe.ts'
import type { MeasuredTable } from './measured-table.ts'
import { median } from './percentile.ts'
import { NO_CHECKPOINTS } from './recovery-run.ts'
import { finishWatch, type StoreMode, startStore, watchLoop } from './store-process.ts'
import type { LimitOverrides } from './store-server.ts'
import { createStream, forEachOver, streamPath } from './stream-client.ts'

export interface StallOptions {
  readonly root: string
  readonly connections: number
  readonly rounds: number
  readonly streams: readonly number[]
  /** Appends of 256 bytes while the loop is watched. */
  readonly requests: number
  /** Options for the server's Node, such as `--cpu-prof`. */
  readonly nodeOptions: readonly string[]
}

interface Case {
  readonly label: string
  readonly mode: StoreMode
  readonly limits: (streams: number) => LimitOverrides
}

interface StallRound {
  readonly streams: number
  readonly label: string
  readonly longTurns: readonly LongTurn[]
  readonly problems: readonly string[]
}

const FORMAT = plainFormat('application/octet-stream', 256)
const WARM_UP_REQUESTS = 20_000
const USUAL_CHECKPOINT_RECORDS = 50_000
/** Turns at least this long are counted. */
const LONG_MS = 5

const CASES: readonly Case[] = [
  { label: 'memory', mode: 'memory', limits: () => ({}) },
  { label: 'file-durable, no checkpoint', mode: 'file-durable', limits: () => NO_CHECKPOINTS },
  {
    label: 'file-durable',
    mode: 'file-durable',
    // A checkpoint of so many streams needs as many records.
    limits: (streams) => ({ checkpointRecords: Math.max(USUAL_CHECKPOINT_RECORDS, streams) }),
  },
]

async function measureRound(
  options: StallOptions,
  streams: number,
  { label, mode, limits }: Case,
): Promise<StallRound> {
  const directory = makeDirectory(options.root)
  try {
    const server = await startStore(directory, mode, limits(streams), options.nodeOptions)
    const paths = Array.from({ length: streams }, (_, index) => streamPath(`stalls/${index}`))
    await forEachOver(server.origin, paths, (connection, path) => {
      return createStream(connection, path, FORMAT.contentType)
    })
    const { connections } = options
    const requests = Math.max(options.requests, WARM_UP_REQUESTS)
    const load = new AppendLoad(server.origin, paths, {
      format: FORMAT,
      connections,
      requests,
      maxSeconds: 300,
    })
    await load.run(WARM_UP_REQUESTS)
    await watchLoop(server)
    await load.run(options.requests)
    const { longTurns } = await finishWatch(server)
    load.close()
    await server.stop()
    return { streams, label, longTurns, problems: load.failures }
  } finally {
    removeDirectory(directory)
  }
}

const measures = {
  whole: (turn: LongTurn): number => turn.tookMs,
  running: (turn: LongTurn): number => turn.tookMs - turn.queuedMs,
  own: (turn: LongTurn): number => turn.tookMs - turn.queuedMs - turn.collectingMs,
} as const

function longest(turns: readonly LongTurn[], measure: (turn: LongTurn) => number): number {
  return Math.max(0, ...turns.map(measure))
}

function rowOf(rounds: readonly StallRound[], streams: number, label: string): string[] {
  const own = rounds.filter((round) => round.streams === streams && round.label === label)
  const cell = (measure: (turn: LongTurn) => number): string => {
    const all = own.map(({ longTurns }) => longest(longTurns, measure))
    return `${median(all).toFixed(1)} (${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)})`
  }
  const collecting = own.map(({ longTurns }) => longest(longTurns, (turn) => turn.collectingMs))
  const count = own.map(({ longTurns }) => longTurns.filter((turn) => measures.own(turn) >= LONG_MS).length)
  return [
    `${label}, ${streams} streams`,
    cell(measures.whole),
    cell(measures.running),
    median(collecting).toFixed(1),
    cell(measures.own),
    median(count).toFixed(0),
  ]
}

export async function measureStalls(
  options: StallOptions,
  progress: (text: string) => void,
): Promise<MeasuredTable> {
  const rounds: StallRound[] = []
  for (const streams of options.streams) {
    for (let round = 0; round < options.rounds; round += 1) {
      for (let turn = 0; turn < CASES.length; turn += 1) {
        const one = CASES[(round + turn) % CASES.length]
        if (one === undefined) continue
        progress(`stalls: ${streams} streams, round ${round + 1} of ${options.rounds}, ${one.label}`)
        rounds.push(await measureRound(options, streams, one))
      }
    }
  }
  const head = [
    'server',
    'longest turn, ms',
    'without waiting for a core, ms',
    'longest collection, ms',
    'without collections either, ms',
    `turns of own work over ${LONG_MS} ms`,
  ]
  const rows = options.streams.flatMap((streams) => CASES.map(({ label }) => rowOf(rounds, streams, label)))
  return {
    title: `Longest turn of the event loop, ${options.requests} appends of 256 B, ${options.connections} connections, median of ${options.rounds} (lowest to highest)`,
    rows: [head, ...rows],
    values: { options, rounds },
    problems: rounds.flatMap(({ problems }) => problems),
  }
}
