import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { killRounds } from './kill-rounds.fixture.ts'
import { builtScript } from './millrace-process.fixture.ts'

const COMMAND = builtScript(new URL('./kill-run.fixture.js', import.meta.url))

it.each(['file-durable', 'file-fast'] as const)(
  'R-337: loses, doubles and tears nothing acknowledged when it is killed under load (%s)',
  async (storage) => {
    const { violations, acknowledged, kills, sightings } = await killRounds({ kills: 9, storage, seed: 1 })
    expect(violations).toEqual([])
    expect(kills.load + kills.start + kills.stop).toBe(9)
    expect(Math.min(kills.load, kills.start, kills.stop)).toBeGreaterThan(0)
    expect(acknowledged.append).toBeGreaterThan(100)
    expect(acknowledged.create).toBeGreaterThan(16)
    expect(sightings).toBeGreaterThan(20)
  },
  300_000,
)

/** Wipes the last record out of the journal, as a server would lose it that answers before it writes. */
function forgetNewest(dataDir: string): void {
  const folder = join(dataDir, 'journal')
  const segments = readdirSync(folder).filter((entry) => entry.endsWith('.seg'))
  const name = segments.sort().at(-1) ?? ''
  const bytes = readFileSync(join(folder, name))
  const number = bytes.readUInt32LE(8)
  let [at, newest] = [64, 64]
  while (at + 32 <= bytes.length && bytes.readUInt32LE(at) > 0 && bytes.readUInt32LE(at + 8) === number) {
    newest = at
    at += Math.ceil((32 + bytes.readUInt32LE(at)) / 8) * 8
  }
  writeFileSync(join(folder, name), bytes.fill(0, newest, at))
}

it('notices one write that is gone', async () => {
  const { violations } = await killRounds({
    kills: 20,
    storage: 'file-durable',
    seed: 2,
    onDead: forgetNewest,
  })
  expect(violations.length).toBeGreaterThan(0)
}, 300_000)

it('is a command with a closing line and an exit code', async () => {
  const run = (...args: readonly string[]): Promise<readonly [number | string | null | undefined, string]> =>
    new Promise((resolve) => {
      execFile(process.execPath, [COMMAND, ...args], (error, stdout) => resolve([error?.code ?? 0, stdout]))
    })
  const [code, stdout] = await run('--kills', '1', '--seed', '7')
  const [, json] = await run('--kills', '1', '--seed', '8', '--json')
  const refused = await run('--kills', 'many')
  const unknown = await run('--kill', '1')
  const help = await run('--help')

  expect(stdout).toMatch(
    /^1 kills \(.*\), file-durable on node, seed 7: \d+ acknowledged .*, 0 violations\n$/,
  )
  expect(JSON.parse(json)).toMatchObject({ storage: 'file-durable', seed: 8, violations: [] })
  expect([code, refused[0], unknown[0], help[0]]).toEqual([0, 2, 2, 0])
  expect(help[1]).toContain('--storage file-durable|file-fast')
}, 120_000)
