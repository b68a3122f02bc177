/** `millrace serve` with authentication from the configuration, as a process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiKey } from '@millrace/server'
import { afterEach, expect, test, vi } from 'vitest'
import { type RunningMillrace, startMillrace } from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const running: RunningMillrace[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((millrace) => millrace.stop('SIGKILL')))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-serve-auth-'))
  folders.push(folder)
  return folder
}

test('listens for others once it knows who may do what, and logs no key', async () => {
  const folder = makeFolder()
  const { key, entry } = createApiKey(['create,append:news'])
  const [keysFile, rulesFile, configFile] = ['keys.json', 'rules.json', 'auth.toml'].map((name) =>
    join(folder, name),
  )
  mkdirSync(join(folder, 'data'))
  writeFileSync(keysFile ?? '', JSON.stringify({ keys: [entry] }))
  const rules = [{ who: 'anyone', paths: ['news'], operations: ['read'] }]
  writeFileSync(rulesFile ?? '', JSON.stringify({ rules }))
  writeFileSync(
    configFile ?? '',
    `[auth]\nmode = "keys"\napi_keys_file = '${keysFile}'\nrules_file = '${rulesFile}'\n`,
  )
  const args = [
    'serve',
    '--host',
    '0.0.0.0',
    '--port',
    '0',
    '--storage',
    'memory',
    '--config',
    configFile ?? '',
  ]
  const millrace = await startMillrace([...args, '--log-level', 'debug'])
  running.push(millrace)
  const url = `http://127.0.0.1:${new URL(millrace.url).port}/v1/stream/news`
  const own = { authorization: `Bearer ${key}`, 'content-type': 'text/plain' }

  const statuses = [
    (await fetch(url, { method: 'PUT', headers: own, body: 'a' })).status,
    (await fetch(url)).status,
    (await fetch(url, { method: 'DELETE', headers: own })).status,
    (await fetch(url, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'b' })).status,
    (await fetch(url, { headers: { authorization: `Bearer ${key}x` } })).status,
  ]
  const { stdout, stderr } = await millrace.stop()

  expect(statuses).toEqual([201, 200, 403, 401, 401])
  expect(stdout + stderr).not.toContain(key.slice(-43))
  expect(stderr).not.toMatch(/Anybody who can reach/)
})
