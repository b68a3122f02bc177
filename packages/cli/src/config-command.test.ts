/** `millrace config`: the verdict, the values with their places, and the schema. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CONFIG_KEYS, type EffectiveValue, loadConfig } from '@millrace/server'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { configJson, configToml } from './config-text.ts'
import { type Environment, type Files, ON_NODE, runMillrace } from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function config(args: readonly string[], files: Files = {}, environment: Environment = {}) {
  const { code, stdout, stderr } = await runMillrace(['config', ...args], environment, ON_NODE, files)
  return { code, stdout, stderr }
}

describe('check', () => {
  test('says that the configuration is sound, what it is made of, and what has no effect', async () => {
    const files = { 'config/default.toml': '[storage]\nacid_shard_count = 16\n' }
    const { code, stdout } = await config(['check'], files)

    expect(code).toBe(0)
    expect(stdout).toContain('The configuration is sound: profile default, config/default.toml.\n')
    expect(stdout).toContain('config/default.toml line 2: storage.acid_shard_count has no effect here')
  })

  test.each<[string, readonly string[], Files, Environment, RegExp]>([
    [
      'a file',
      [],
      { 'config/local.toml': 'a = 1\n' },
      {},
      /^config\/local\.toml line 1: there is no key a\./,
    ],
    ['a variable', [], {}, { DS_STORAGE__MOD: 'file' }, /^There is no variable DS_STORAGE__MOD\. Did you/],
    ['a flag', ['--host', 'a b'], {}, {}, /^--host: it must be an address such as 127\.0\.0\.1:4437/],
    ['a storage mode', ['--storage', 'tape'], {}, {}, /^There is no storage mode tape/],
    ['a certificate', ['--tls-cert', 'a', '--tls-key', 'b'], {}, {}, /^The certificate a cannot be read/],
    ['a profile', ['--profile', 'prdo'], {}, {}, /^There is no profile prdo/],
  ])('names %s that has to be mended', async (_, args, files, environment, message) => {
    const { code, stdout } = await config(['check', ...args], files, environment)
    const inJson = JSON.parse((await config(['check', '--json', ...args], files, environment)).stdout)

    expect(code).toBe(1)
    expect(stdout).toMatch(message)
    expect([inJson.isSound, inJson.problems.length]).toEqual([false, 1])
    expect(inJson.problems[0]).toMatch(message)
  })

  test('is sound or not as JSON', async () => {
    const { code, stdout } = await config(['check', '--json', '--profile', 'dev'])

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ isSound: true, problems: [], profile: 'dev', files: [], notes: [] })
  })
})

describe('print', () => {
  test('says of each value where it is from', async () => {
    const files = { 'config/default.toml': '[limits]\nmax_memory_bytes = "64MiB"\n' }
    const environment = { DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS: '400ms' }
    const { stdout } = await config(['print', '--port', '0', '--profile', 'dev'], files, environment)

    expect(stdout).toMatch(/^bind_address = "127\.0\.0\.1:0" +# --port$/m)
    expect(stdout).toMatch(/^mode = "memory" +# profile dev$/m)
    expect(stdout).toMatch(/^max_memory_bytes = 67108864 +# config\/default\.toml line 2$/m)
    expect(stdout).toMatch(
      /^long_poll_timeout_secs = 0\.4 +# DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS$/m,
    )
    expect(stdout).toMatch(/^# public_url is not set$/m)
    const { values } = JSON.parse((await config(['print', '--json'], files)).stdout)
    const place = 'config/default.toml line 2'
    const variable = 'DS_LIMITS__MAX_MEMORY_BYTES'
    expect(values['limits.max_memory_bytes']).toEqual({ value: 67_108_864, place, variable })
  })

  test('gives a file of the same meaning', async () => {
    const overrides = { 'http.cors_origins': ['https://a.example'], 'server.request_timeout_secs': '90s' }
    const printed = await loadConfig({ directory: folder, environment: {}, profile: 'prod', overrides })
    const file = join(folder, 'printed.toml')
    writeFileSync(file, configToml(printed).join('\n'))
    const again = await loadConfig({ directory: folder, environment: {}, file })

    for (const { key, value } of printed.values)
      expect([key.name, again.get(key.name)]).toEqual([key.name, value])
  })

  test('masks secrets', async () => {
    const sound = await loadConfig({ directory: folder, environment: {} })
    const key = { name: 'some.token', kind: { kind: 'text' }, about: 'A secret.', isSecret: true } as const
    const values: readonly EffectiveValue[] = [{ key, value: 'hush-hush', place: 'DS_SOME__TOKEN' }]
    const printed = [...configToml({ ...sound, values }), JSON.stringify(configJson({ ...sound, values }))]

    expect(printed.join('\n')).not.toContain('hush-hush')
    expect(printed.filter((line) => line.includes('"********"')).length).toBe(2)
  })
})

test('schema has every key, its default and its variable', async () => {
  const { code, stdout } = await config(['schema'])
  const schema = JSON.parse(stdout)

  expect(code).toBe(0)
  for (const key of CONFIG_KEYS) {
    const path = key.name.split('.')
    const found = path.reduce((table, name) => table?.properties?.[name], schema)
    expect(found?.description, key.name).toContain(`DS_${path.join('__').toUpperCase()}.`)
    expect('default' in found, key.name).toBe(key.fallback !== undefined)
  }
  expect(schema.properties.server.additionalProperties).toBe(false)
})
