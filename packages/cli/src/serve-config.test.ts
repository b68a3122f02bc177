/** `millrace serve` and its layers of configuration, as a process: files, variables, flags, and what is wrong in them. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  type Environment,
  type Files,
  ON_NODE,
  type RunningMillrace,
  runMillrace,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const running: RunningMillrace[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((millrace) => millrace.stop('SIGKILL')))
})

async function start(
  args: readonly string[],
  files: Files = {},
  environment: Environment = {},
): Promise<RunningMillrace> {
  const millrace = await startMillrace(args, environment, ON_NODE, files)
  running.push(millrace)
  return millrace
}

async function createdAt(url: string, path: string): Promise<string | null> {
  const response = await fetch(url + path, { method: 'PUT', headers: { 'content-type': 'text/plain' } })
  return response.headers.get('location')
}

const PORT_0 = '[server]\nbind_address = "127.0.0.1:0"\n'

describe('serve', () => {
  test('reads config/ in the working directory, says so, and lets flags win', async () => {
    const files = {
      'config/default.toml': `${PORT_0}public_url = "https://a.example"\n[storage]\nmode = "memory"\n`,
      'config/local.toml': '[http]\nstream_base_path = "/logs"\n',
    }
    const first = await start(['serve'], files)
    const second = await start(['serve', '--stream-base-path', '/flag'], files)

    expect(first.output().stdout).toMatch(/^Storage: memory /m)
    expect(first.output().stdout).toContain('Configuration: config/default.toml, config/local.toml\n')
    expect(await createdAt(first.url, '/logs/a')).toBe('https://a.example/logs/a')
    expect(await createdAt(second.url, '/flag/a')).toBe('https://a.example/flag/a')
  })

  test('lets variables win over files, and flags over variables', async () => {
    const files = { 'config/local.toml': `${PORT_0}public_url = "https://file.example"\n` }
    const environment = { DS_SERVER__PUBLIC_URL: 'https://env.example', DS_STORAGE__MODE: 'memory' }
    const byVariable = await start(['serve'], files, environment)
    const byFlag = await start(['serve', '--public-url', 'https://flag.example'], files, environment)

    expect(await createdAt(byVariable.url, '/v1/stream/a')).toBe('https://env.example/v1/stream/a')
    expect(await createdAt(byFlag.url, '/v1/stream/a')).toBe('https://flag.example/v1/stream/a')
  })

  test('takes a profile and a file, and names them', async () => {
    const files = {
      'config/mine.toml': PORT_0,
      'extra.toml': '[storage]\nmode = "fast"\ndata_dir = "here"\n',
    }
    const { output } = await start(['serve', '--profile', 'mine', '--config', 'extra.toml'], files)

    expect(output().stdout).toContain('Configuration: profile mine, config/mine.toml, extra.toml\n')
    expect(output().stdout).toMatch(/^Storage: file-fast in here /m)
  })

  test('says what was given and has no effect', async () => {
    const environment = { DS_STORAGE__ACID_SHARD_COUNT: '4', STORAGE_MODE: 'acid' }
    const server = await start(['serve', '--port', '0', '--storage', 'memory'], {}, environment)
    const { stderr } = await server.stop()

    expect(stderr).toContain('STORAGE_MODE has no effect: it is called DS_STORAGE__MODE now.')
    expect(stderr).toContain('DS_STORAGE__ACID_SHARD_COUNT: storage.acid_shard_count has no effect here')
  })

  test('names file and line, variable and flag of everything that is wrong, and does not start', async () => {
    const files = { 'config/local.toml': '[server]\nprot = 1\n' }
    const exit = await runMillrace(
      ['serve', '--tls-cert', 'none.pem'],
      { DS_LIMITS__MAX_MEMORY_BYTES: 'much' },
      ON_NODE,
      files,
    )

    expect([exit.code, exit.stdout]).toEqual([1, ''])
    expect(exit.stderr.trim().split('\n')).toEqual([
      'config/local.toml line 2: there is no key server.prot. Did you mean server.port?',
      expect.stringMatching(/^DS_LIMITS__MAX_MEMORY_BYTES: it must be a size such as .*, not "much"\.$/),
      '--tls-cert: TLS needs transport.tls.key_path (--tls-key).',
    ])
  })

  test('says which TLS file cannot be read', async () => {
    const flags = ['--tls-cert', 'none.pem', '--tls-key', 'none.key', '--storage', 'memory', '--port', '0']
    const { code, stderr } = await runMillrace(['serve', ...flags])

    expect([code, stderr]).toEqual([1, 'The certificate none.pem cannot be read (ENOENT).\n'])
  })
})

test('dev is the profile dev, in memory whatever files say', async () => {
  const files = { 'config/default.toml': '[storage]\nmode = "file"\n' }
  const { output } = await start(['dev', '--port', '0'], files)

  expect(output().stdout).toMatch(/^Storage: memory /m)
  expect(output().stdout).toContain('Configuration: profile dev, config/default.toml\n')
})
