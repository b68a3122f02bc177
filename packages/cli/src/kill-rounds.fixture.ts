/**
 * A real server under load, killed with SIGKILL again and again and started on the same directory. Every client
 * keeps its own history: what was acknowledged, and the one request whose answer never came.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyStore } from '@millrace/storage-file'
import { type RunningMillrace, startMillrace } from './millrace-process.fixture.ts'

/** One client: the only writer of its stream, with or without producer headers. */
interface Client {
  readonly path: string
  readonly usesProducer: boolean
  /** Numbers of acknowledged appends, in order. */
  readonly acknowledged: number[]
  /** Sent, but not answered: may be there or not. Producers send it again; others go on with the next number. */
  readonly unknown: Set<number>
  next: number
}

/** What the rounds found wrong, and how much there was to find. */
export interface KillReport {
  readonly violations: readonly string[]
  readonly acknowledged: number
  readonly kills: number
}

const JSON_TYPE = { 'content-type': 'application/json' }

/** Kills a loaded server `kills` times, at moments drawn by `random`, and checks all histories after each start. */
export async function killRounds(kills: number, storage: string, random: () => number): Promise<KillReport> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
  const args = ['serve', '--port', '0', '--storage', storage, '--data-dir', dataDir]
  const clients = Array.from({ length: 16 }, (_, i) => newClient(i))
  const violations: string[] = []
  try {
    for (let round = 0; round <= kills; round++) {
      const server = await startMillrace(args)
      for (const client of clients) violations.push(...(await check(server.url, client)))
      if (round === kills) await server.stop()
      else await loadAndKill(server, clients, 100 + random() * 400)
      violations.push(...(await damageIn(dataDir)))
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
  const acknowledged = clients.reduce((sum, client) => sum + client.acknowledged.length, 0)
  return { violations, acknowledged, kills }
}

/** What a kill leaves may be unfinished, but is not damaged. */
async function damageIn(dataDir: string): Promise<readonly string[]> {
  const { findings } = await verifyStore({ dataDir })
  return findings.filter(({ severity }) => severity === 'error').map((finding) => JSON.stringify(finding))
}

function newClient(index: number): Client {
  return {
    path: `/v1/stream/kill/${index}`,
    usesProducer: index % 2 === 0,
    acknowledged: [],
    unknown: new Set(),
    next: 0,
  }
}

async function loadAndKill(
  server: RunningMillrace,
  clients: readonly Client[],
  afterMs: number,
): Promise<void> {
  let isOver = false
  const loads = clients.map((client) => load(server.url, client, () => isOver))
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  server.signal('SIGKILL')
  isOver = true
  await Promise.all(loads)
  await server.stop('SIGKILL')
}

async function load(url: string, client: Client, isOver: () => boolean): Promise<void> {
  try {
    await fetch(`${url}${client.path}`, { method: 'PUT', headers: JSON_TYPE })
    while (!isOver()) await append(url, client)
  } catch {
    // The server was killed: what is unknown has been noted before it was sent.
  }
}

async function append(url: string, client: Client): Promise<void> {
  const number = client.next
  if (!client.usesProducer) client.next++
  client.unknown.add(number)
  const producer: Record<string, string> = client.usesProducer
    ? { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': String(number) }
    : {}
  const body = JSON.stringify({ n: number, pad: 'x'.repeat(number % 300) })
  const response = await fetch(`${url}${client.path}`, {
    method: 'POST',
    headers: { ...JSON_TYPE, ...producer },
    body,
  })
  if (response.status !== 200 && response.status !== 204)
    throw new Error(`an append was answered ${response.status}`)
  client.unknown.delete(number)
  client.acknowledged.push(number)
  if (client.usesProducer) client.next++
}

/** Everything acknowledged is there once and in order; what else is there was sent, once, and never answered. */
async function check(url: string, client: Client): Promise<readonly string[]> {
  const response = await fetch(`${url}${client.path}`)
  if (response.status === 404) return client.acknowledged.length === 0 ? [] : [`${client.path} is gone`]
  const messages: readonly { readonly n: number; readonly pad: string }[] = JSON.parse(await response.text())
  const numbers = messages.map(({ n }) => n)
  const known = new Set([...client.acknowledged, ...client.unknown])
  const lost = client.acknowledged.filter((number) => !numbers.includes(number))
  const foreign = numbers.filter((number) => !known.has(number))
  const isOrdered = numbers.every((number, at) => at === 0 || (numbers[at - 1] ?? 0) < number)
  const torn = messages.filter(({ n, pad }) => pad.length !== n % 300)
  return [
    ...lost.map((number) => `${client.path}: ${number} was acknowledged and is lost`),
    ...foreign.map((number) => `${client.path}: ${number} was never sent`),
    ...torn.map(({ n }) => `${client.path}: ${n} is torn`),
    ...(isOrdered ? [] : [`${client.path}: out of order or doubled: ${numbers.join(' ')}`]),
  ]
}
