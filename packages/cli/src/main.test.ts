/** The command line as a process: help, versions, and what it says about arguments that cannot work. */
import { readFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { type Exit, runMillrace } from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

const SERVE_FLAGS = [
  '--host',
  '--port',
  '--storage',
  '--data-dir',
  '--long-poll-timeout',
  '--sse-reconnect-interval',
  '--stream-base-path',
  '--allow-origin',
  '--allow-host',
  '--public-url',
  '--auth',
]

/** Lines of a stack trace, and names that only mean something in this source. */
const TRACE = /^\s+at |node:internal|\.js:\d+|Error:/m

describe('help', () => {
  test('names the commands', async () => {
    const { code, stdout, stderr } = await runMillrace(['--help'])

    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^\s+serve .*$/m)
    expect(stdout).toMatch(/^\s+dev .*$/m)
    expect(stdout).toMatch(/^\s+version .*$/m)
    expect(stdout).toContain('--version')
  })

  test('of serve names every flag and every storage mode', async () => {
    const { code, stdout } = await runMillrace(['serve', '--help'])

    expect(code).toBe(0)
    expect(SERVE_FLAGS.filter((flag) => !stdout.includes(flag))).toEqual([])
    const modes = ['memory', 'file-fast', 'file-durable', 'acid']
    expect(modes.filter((mode) => !stdout.includes(mode))).toEqual([])
    expect(stdout).toContain('4437')
    expect(stdout).toContain('127.0.0.1')
  })

  test('of dev names its flags, and none about storage', async () => {
    const { code, stdout } = await runMillrace(['dev', '--help'])

    expect(code).toBe(0)
    expect(SERVE_FLAGS.filter((flag) => !stdout.includes(flag))).toEqual(['--storage', '--data-dir'])
  })

  test('is shown when no command is given', async () => {
    const { code, stdout, stderr } = await runMillrace([])

    expect(code).toBe(1)
    expect(stdout + stderr).toMatch(/^\s+serve .*$/m)
  })
})

test.each([[['version']], [['--version']]])('%j prints the version', async (args) => {
  const { code, stdout, stderr } = await runMillrace(args)

  expect([code, stdout, stderr]).toEqual([0, `${version}\n`, ''])
})

describe('arguments that cannot work', () => {
  /** Nothing on stdout, a sentence on stderr, and no trace of the source. */
  function complaintOf({ code, stdout, stderr }: Exit): readonly unknown[] {
    return [code, stdout, TRACE.test(stderr), stderr.trim().split('\n').length <= 3]
  }
  const COMPLAINED = [1, '', false, true]

  test.each([
    [['serve', '--port', 'http'], /--port.*0 to 65535/],
    [['serve', '--port', '65536'], /--port.*0 to 65535/],
    [['serve', '--port', '-1'], /--port.*0 to 65535/],
    [['serve', '--port', '1.5'], /--port.*0 to 65535/],
    [['serve', '--port', ''], /--port.*0 to 65535/],
    [['dev', '--port', '1e3'], /--port.*0 to 65535/],
    [['serve', '--port'], /--port.*missing/],
    [['serve', '--port', '0', '--long-poll-timeout', 'soon'], /--long-poll-timeout.*400ms, 30s or 5m/],
    [['serve', '--port', '0', '--long-poll-timeout', '1d'], /--long-poll-timeout.*400ms, 30s or 5m/],
    [
      ['serve', '--port', '0', '--sse-reconnect-interval', '-1s'],
      /--sse-reconnect-interval.*400ms, 30s or 5m/,
    ],
    [['serve', '--port', '0', '--long-poll-timeout', '0'], /long-?poll-?timeout.*at least/i],
    [['serve', '--port', '0', '--storage', 'tape'], /no storage mode tape.*memory/],
    [['serve', '--port', '0', '--stream-base-path', 'streams'], /stream-?base-?path.*\/v1\/stream.*streams/i],
    [['serve', '--port', '0', '--stream-base-path', '/a b'], /stream-?base-?path.*\/v1\/stream/i],
    [['serve', '--port', '0', '--stream-base-path', '/a?b'], /stream-?base-?path.*\/v1\/stream/i],
    [
      ['serve', '--port', '0', '--data-dir', '/dev/null'],
      /\/dev\/null cannot be used as data directory.*--data-dir/,
    ],
    [
      ['serve', '--port', '0', '--data-dir', '/proc/1'],
      /\/proc\/1 cannot be used as data directory|may not write|not Millrace/,
    ],
    [
      // A file system that says of every new folder that what it is in does not exist.
      ['serve', '--port', '0', '--data-dir', '/proc/nowhere/data'],
      /\/proc\/nowhere\/data cannot be used as data directory.*--data-dir/,
    ],
    [
      ['serve', '--port', '0', '--data-dir', '/nowhere', '--storage', 'memory'],
      /--data-dir.*--storage memory/,
    ],
    [
      ['serve', '--port', '0', '--host', '192.0.2.1', '--auth', 'none'],
      /192\.0\.2\.1 is not an address of this machine/,
    ],
    [
      ['serve', '--port', '0', '--host', 'nowhere.invalid', '--auth', 'none'],
      /nowhere\.invalid is not an address of this machine/,
    ],
    [['serve', '--colour', 'blue'], /unknown option '--colour'/],
    [['dev', '--storage', 'memory'], /unknown option '--storage'/],
    [['serve', 'now'], /too many arguments/],
    [['sereve'], /unknown command 'sereve'/],
  ])('%j are refused with a sentence', async (args, message) => {
    const exit = await runMillrace(args)

    expect(exit.stderr.replaceAll('\n', ' ')).toMatch(message)
    expect(complaintOf(exit)).toEqual(COMPLAINED)
  })

  test.each([
    [['serve', '--prot', '1'], 'Run millrace serve --help for its arguments and flags.'],
    [['config', 'check', '--prot', '1'], 'Run millrace config check --help for its arguments and flags.'],
    [['fork', 'a'], 'Run millrace fork --help for its arguments and flags.'],
    [['verify', '--data-dir'], 'Run millrace verify --help for its arguments and flags.'],
    [['config', 'chekc'], 'Run millrace config --help for all commands.'],
    [['sereve'], 'Run millrace --help for all commands.'],
  ])('%j name the help that would have helped', async (args, hint) => {
    const { stderr } = await runMillrace(args)

    expect(stderr.trim().split('\n').at(-1)).toBe(hint)
  })
})
