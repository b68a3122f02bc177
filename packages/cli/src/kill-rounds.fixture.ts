/** A real server under load, killed with SIGKILL again and again and started on the same directory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { verifyStore } from '@millrace/storage-file'
import { KillClient } from './kill-client.fixture.ts'
import { KillReader } from './kill-reader.fixture.ts'
import { plainEnvironment, type RunningMillrace, startMillrace } from './millrace-process.fixture.ts'

/** What the rounds found wrong, and how much there was to find. */
export interface KillReport {
  readonly violations: readonly string[]
  readonly acknowledged: number
  readonly seenBytes: number
  readonly kills: number
}

/** What to run. */
export interface KillPlan {
  readonly kills: number
  readonly storage: string
  /** The same number makes the same moments. */
  readonly seed: number
  /** Told after every kill and check. */
  onRound?(round: number, violations: number): void
}

const CLIENTS = 16
/** Small limits make checkpoints, retired segments and rewritten block files happen between two kills. */
const SMALL = fileURLToPath(new URL('./traced-server.fixture.ts', import.meta.url))
  .replace('/src/', '/dist/')
  .replace(/ts$/, 'js')

/** Kills a loaded server, at moments drawn by the seed, and checks all histories after each start. */
export async function killRounds(plan: KillPlan): Promise<KillReport> {
  const random = seeded(plan.seed)
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
  const clients = Array.from({ length: CLIENTS }, (_, i) => new KillClient(i, seeded(plan.seed * 100 + i)))
  const readers = clients.map((_, i) => new KillReader(i % 3 === 0 ? 'sse' : 'long-poll'))
  const violations: string[] = []
  try {
    for (let round = 0; round <= plan.kills; round++) {
      const server = await startOn(dataDir, plan.storage, round % 2 === 1)
      for (const one of [...clients, ...readers]) violations.push(...(await one.check(server.url)))
      plan.onRound?.(round, violations.length)
      if (round === plan.kills) await server.stop('SIGTERM')
      else await loadAndKill(server, clients, readers, 100 + random() * 400)
      violations.push(...(await damageIn(dataDir)))
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
  const acknowledged = clients.reduce((sum, client) => sum + client.acknowledged, 0)
  const seenBytes = readers.reduce((sum, reader) => sum + reader.receivedBytes, 0)
  return { violations, acknowledged, seenBytes, kills: plan.kills }
}

/** What a kill leaves may be unfinished, but is not damaged. */
async function damageIn(dataDir: string): Promise<readonly string[]> {
  const { findings } = await verifyStore({ dataDir })
  return findings.filter(({ severity }) => severity === 'error').map((finding) => JSON.stringify(finding))
}

/** Moments that look random and are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

type Killable = Pick<RunningMillrace, 'url' | 'stop' | 'signal'>

/** The command as people run it, and every other time the same server with a store of small limits. */
async function startOn(dataDir: string, storage: string, isSmall: boolean): Promise<Killable> {
  if (!isSmall) return startMillrace(['serve', '--port', '0', '--storage', storage, '--data-dir', dataDir])
  const child = spawn(process.execPath, [SMALL, dataDir, storage], {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  return {
    url: await urlOf(child),
    signal: (signal) => child.kill(signal),
    async stop(signal) {
      child.kill(signal)
      await exit
      return { code: child.exitCode, signal: child.signalCode, stdout: '', stderr: '' }
    },
  }
}

async function urlOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) return line.split(' ')[1] ?? ''
  throw new Error('the server did not start')
}

async function loadAndKill(
  server: Killable,
  clients: readonly KillClient[],
  readers: readonly KillReader[],
  afterMs: number,
): Promise<void> {
  let isOver = false
  const work = clients.flatMap((client, i) => [
    client.work(server.url, () => isOver),
    readers[i]?.follow(
      server.url,
      () => client.path,
      () => isOver,
    ),
  ])
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  server.signal('SIGKILL')
  isOver = true
  await Promise.all(work)
  await server.stop('SIGKILL')
}
