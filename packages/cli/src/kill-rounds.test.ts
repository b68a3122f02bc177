import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { KillClient } from './kill-client.fixture.ts'
import { killRounds } from './kill-rounds.fixture.ts'
import { startMillrace } from './millrace-process.fixture.ts'

const COMMAND = fileURLToPath(new URL('./kill-run.fixture.ts', import.meta.url))
  .replace('/src/', '/dist/')
  .replace(/ts$/, 'js')

it.each(['file-durable', 'file-fast'])(
  'R-337: loses, doubles and tears nothing acknowledged when it is killed under load (%s)',
  async (storage) => {
    const { violations, acknowledged, kills, seenBytes } = await killRounds({ kills: 10, storage, seed: 1 })
    expect(violations).toEqual([])
    expect(kills).toBe(10)
    expect(acknowledged).toBeGreaterThan(500)
    expect(seenBytes).toBeGreaterThan(1000)
  },
  240_000,
)

it('is noticed by its clients when something is lost', async () => {
  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'millrace-kill-')))
  const [first = '', second = ''] = folders
  const client = new KillClient(0, () => 0.5)
  try {
    const server = await startMillrace(['serve', '--port', '0', '--data-dir', first])
    await client.work(server.url, () => client.acknowledged >= 20)
    expect(await client.check(server.url)).toEqual([])
    await server.stop()
    const empty = await startMillrace(['serve', '--port', '0', '--data-dir', second])
    expect(await client.check(empty.url)).toEqual(['/v1/stream/kill/0/0 is gone (404)'])
    await empty.stop()
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)

it('can be asked for by a command', () => {
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, '--kills', '1', '--seed', '7'], {
    encoding: 'utf8',
  })
  expect(stdout).toMatch(/^1 kills of file-durable: [0-9]+ acknowledged writes, 0 lost/)
  expect(status).toBe(0)
}, 60_000)
