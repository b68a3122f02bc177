/** The stream commands as people and scripts see them: what they print, and with which code they end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ON_BUN } from './millrace-process.fixture.ts'
import { beginCommand, type Finished, type StreamWorld, startStreamWorld } from './stream-process.fixture.ts'

const COMMANDS = ['create', 'append', 'read', 'tail', 'head', 'close', 'delete', 'fork']

let world: StreamWorld

beforeAll(async () => {
  world = await startStreamWorld()
  await world.good(['create', 'shut', '--content-type', 'text', '--closed'])
})
afterAll(() => world.close())

describe('help', () => {
  test.each(COMMANDS)('(C-183) of %s has the exit codes, the environment and examples', async (command) => {
    const help = await world.good([command, '--help'])

    expect(help).toMatch(/Exit codes:\n {2}0 {2}done/)
    expect(help).toContain('MILLRACE_URL or STREAM_URL')
    expect(help).toMatch(new RegExp(`Examples:\n(.*\n)*?.*millrace ${command} `))
  })
})

describe('a --url without the root of the streams', () => {
  test.each([
    ['create', 'x'],
    ['read', 'x'],
    ['delete', 'x'],
    ['fork', 'y', '--from', 'x'],
  ])('%s says where the root is', async (...args) => {
    const { code, stderr } = await world.run([...args, '--url', new URL(world.url).origin])

    expect(stderr).toMatch(/^Streams are below \/v1\/stream\/ on this server\. .*--url or MILLRACE_URL/)
    expect(code).toBe(3)
  })

  test.each([
    ['head', 'x'],
    ['append', 'x', 'y'],
  ])('%s, which learns of it by an answer without words, shows the URL', async (...args) => {
    const { origin } = new URL(world.url)
    const { stderr } = await world.run([...args, '--url', origin])

    expect(stderr).toContain(`There is no stream x at ${origin}/x.`)
  })
})

describe('create, head, close and delete', () => {
  test('(C-183) a stream lives from its creation to its deletion', async () => {
    const url = `${world.url}/life/1`
    expect(await world.good(['create', 'life/1', '--content-type', 'json'])).toBe(
      `Created life/1 (application/json) at ${url}\n`,
    )
    expect(await world.good(['create', 'life/1', '--content-type', 'application/json'])).toContain(
      'There already',
    )
    expect(await world.good(['append', 'life/1', '{"n":1}'])).toMatch(
      /^Appended 1 message to life\/1; it ends at/,
    )
    expect(await world.good(['head', 'life/1'])).toMatch(
      /Content type +application\/json\nEnd .*\nClosed +no\n/,
    )
    expect(await world.good(['close', 'life/1', '{"n":2}'])).toMatch(
      /^Closed life\/1; it ends at offset \S+\n$/,
    )
    expect(await world.good(['close', 'life/1'])).toMatch(/^Closed life\/1/)
    expect(await world.good(['read', 'life/1'])).toBe('{"n":1}\n{"n":2}\n')
    expect(await world.good(['delete', 'life/1'])).toBe('Deleted life/1\n')
    expect((await world.run(['read', 'life/1'])).code).toBe(3)
  })

  test('create takes a first message, an expiry and a closed end', async () => {
    await world.good(['create', 'c/array', '--content-type', 'json', '[1,[2]]'])
    await world.good(['create', 'c/ttl', '--ttl', '30m'])
    await world.good(['create', 'c/at', '--expires-at', '2099-01-31T12:00:00Z'])
    await world.good(['create', 'c/closed', '--content-type', 'text', '--closed', 'Grüße'])

    expect(await world.good(['read', 'c/array'])).toBe('[1,[2]]\n')
    expect(await world.good(['head', 'c/ttl'])).toContain('1800 s without use')
    expect(await world.good(['head', 'c/at'])).toMatch(/Removed at +2099-01-31T12:00:00/)
    expect(await world.good(['read', 'c/closed'])).toBe('Grüße')
    expect(await world.good(['head', 'c/closed'])).toMatch(/Closed +yes/)
    expect(await world.good(['head', 'c/ttl'])).toMatch(/application\/octet-stream/)
  })

  test('(C-183) --json of each prints one object', async () => {
    const parsed = async (...args: string[]): Promise<unknown> =>
      JSON.parse(await world.good([...args, '--json']))

    const created = { stream: 'j/1', url: `${world.url}/j/1`, contentType: 'application/json' }
    const flags = ['--content-type', 'json']
    expect(await parsed('create', 'j/1', ...flags)).toEqual({ ...created, created: true })
    expect(await parsed('create', 'j/1', ...flags)).toEqual({ ...created, created: false })
    const appended = await parsed('append', 'j/1', '1', '22')
    expect(appended).toEqual({
      stream: 'j/1',
      messages: 2,
      bytes: 3,
      duplicateBatches: 0,
      offset: expect.stringMatching(/^\d+_\d+$/),
    })
    const { offset } = Object(appended)
    expect(await parsed('head', 'j/1')).toEqual({ ...created, offset, closed: false })
    expect(await parsed('fork', 'j/2', '--from', 'j/1')).toEqual({
      ...created,
      stream: 'j/2',
      url: `${world.url}/j/2`,
      created: true,
    })
    expect(await parsed('close', 'j/1')).toEqual({ stream: 'j/1', closed: true, offset })
    expect(await parsed('delete', 'j/2')).toEqual({ stream: 'j/2', deleted: true })
  })

  test('fork begins with what its source holds, up to an offset', async () => {
    await world.good(['create', 'f/a b', '--content-type', 'json', '1'])
    const { offset } = JSON.parse(await world.good(['head', 'f/a b', '--json']))
    await world.good(['append', 'f/a b', '2', '3'])
    await world.good(['fork', 'f/whole', '--from', 'f/a b'])
    await world.good(['fork', 'f/early', '--from', `${world.url}/f/a%20b`, '--offset', offset])
    await world.good(['fork', 'f/later', '--from', 'f/a b', '--offset', offset, '--sub-offset', '1'])
    await world.good(['append', 'f/early', '"other"'])

    expect(await world.good(['read', 'f/whole'])).toBe('1\n2\n3\n')
    expect(await world.good(['read', 'f/early'])).toBe('1\n"other"\n')
    expect(await world.good(['read', 'f/later'])).toBe('1\n2\n')
  })
})

describe('names', () => {
  test.each([
    ['orders/42/lines', 'orders/42/lines'],
    ['ä b/☃', '%C3%A4%20b/%E2%98%83'],
    ['100%', '100%25'],
    ['a%20b', 'a%2520b'],
    ['x?y=1#z', 'x%3Fy%3D1%23z'],
  ])('(C-183) %s is encoded once', async (name, path) => {
    await world.good(['create', name, '--content-type', 'text', name])

    const direct = await fetch(`${world.url}/${path}`)
    expect([direct.status, await direct.text()]).toEqual([200, name])
    expect(await world.good(['read', `${world.url}/${path}`])).toBe(name)
    expect(await world.good(['read', name])).toBe(name)
  })

  test.each(['', '/a', 'a/', 'a//b', '.', 'a/../b', 'a\nb', 'ftp://h/a', 'http://', 'https://u:secret@h/a'])(
    '(C-183) %j is refused before anything is sent',
    async (name) => {
      // Nothing listens there: had anything been sent, the code would be another one.
      const exit = await beginCommand(['head', name], { MILLRACE_URL: 'http://127.0.0.1:9/s' }).over

      expect([exit.code, exit.stdout]).toEqual([2, ''])
      expect(exit.stderr).toMatch(/name|part|URL|holds a user|control character/)
      expect(exit.stderr).not.toContain('secret')
    },
  )
})

describe('exit codes', () => {
  test.each([
    [['head', 'gone'], 3, /no stream gone at .*To create it: millrace create gone/],
    [['read', 'gone'], 3, /no stream gone/],
    [['tail', 'gone'], 3, /no stream gone/],
    [['append', 'gone', 'x'], 3, /no stream gone/],
    [['close', 'gone', 'x'], 3, /no stream gone/],
    [['close', 'gone'], 3, /no stream gone/],
    [['delete', 'gone'], 3, /no stream gone/],
    [['head', "it's"], 3, /millrace create 'it'\\''s'/],
    [['fork', 'x', '--from', 'gone'], 3, /no stream gone to fork/],
    [['create', 'shut', '--content-type', 'json'], 4, /exists with/],
    [['append', 'shut', 'x'], 4, /shut is closed: nothing can be appended/],
    [['close', 'shut', 'x'], 4, /shut is closed already: the last message was not stored/],
    [['read', 'shut', '--offset', 'nonsense'], 2, /offset.*HTTP 400/i],
    [['head'], 2, /missing required argument 'stream'/],
    [['head', 'a', 'b'], 2, /too many arguments/],
    [['head', 'a', '--colour'], 2, /unknown option '--colour'/],
    [['tail', 'a', '--live', 'often'], 2, /long-poll, sse/],
    [['create', 'a', '--content-type', 'yaml'], 2, /media type such as application\/json/],
    [['create', 'a', '--ttl', '1.5s'], 2, /whole seconds/],
    [['create', 'a', '--ttl', 'soon'], 2, /whole seconds/],
    [['create', 'a', '--expires-at', 'tomorrow'], 2, /2027-01-31T12:00:00Z/],
    [['create', 'a', '--expires-at', '2099-01-31T12:00:00Z', '--ttl', '5s'], 2, /cannot be used with/],
    [
      ['create', 'a', '--content-type', 'json', 'hello'],
      2,
      /not JSON .*needs quotes: '"hello"'. Nothing was sent/,
    ],
    [['fork', 'a'], 2, /--from/],
    [['fork', 'a', '--from', 'http://other.example/a'], 2, /another server/],
    [['fork', 'a', '--from', 'b', '--sub-offset', '-1'], 2, /whole number/],
    [['append', 'shut'], 4, /closed/],
    [['append', 'a', 'x', '--file', 'y'], 2, /not both/],
    [['append', 'a', '--file', '/no/such/file'], 2, /\/no\/such\/file can't be read \(ENOENT\)/],
    [['append', 'a', '--file', '/'], 2, /is a folder/],
    [['append', 'a', '--batch', '0'], 2, /whole number from 1/],
    [['append', 'a', '--producer-id', 'a b'], 2, /ASCII characters without spaces/],
    [['head', 'a', '--url', 'localhost:4437'], 2, /--url is not an http or https URL/],
    [['head', 'a', '--url', 'http://h/s?x=1'], 2, /--url has a query/],
    [['head', 'a', '--auth', ' '], 2, /--auth is empty/],
    [['head', 'a', '--auth', 'Bearer sécret'], 2, /--auth has a character that no header can carry/],
  ])('(C-183) %j ends with %i and says why', async (args, code, message) => {
    const exit = await world.run(args)

    expect(exit.stderr.replaceAll('\n', ' ')).toMatch(message)
    expect([exit.code, exit.stdout]).toEqual([code, ''])
    expect(exit.stderr).not.toMatch(/^\s+at |sécret/m)
  })

  test('(C-183) a server that is not there ends every command with 6, at once', async () => {
    const gone = await startStreamWorld()
    await gone.close()
    const exits = await Promise.all(
      [
        ['create', 'a'],
        ['append', 'a', 'x'],
        ['read', 'a'],
        ['tail', 'a'],
        ['head', 'a'],
        ['close', 'a'],
        ['delete', 'a'],
      ].map((args) => gone.run(args)),
    )

    expect(exits.map(({ code }) => code)).toEqual(exits.map(() => 6))
    expect(exits.filter(({ stderr }) => !stderr.includes('start one with millrace serve'))).toEqual([])
  })

  test('a host that is not there is named', async () => {
    const exit = await world.run(['head', 'http://nowhere.invalid/v1/stream/a'])

    expect([exit.code, exit.stderr]).toEqual([6, expect.stringContaining('nowhere.invalid')])
  })
})

test('on Bun everything is the same', async () => {
  const environment = { MILLRACE_URL: world.url }
  const onBun = (args: readonly string[], input = ''): Promise<Finished> => {
    const { child, over } = beginCommand(args, environment, ON_BUN)
    child.stdin?.end(input)
    return over
  }
  await onBun(['create', 'bun/1', '--content-type', 'json', '0'])
  const appended = await onBun(['append', 'bun/1'], '1\n{"n":12345678901234567890}\n')
  const invalid = await onBun(['append', 'bun/1'], '2\n{')
  const read = await onBun(['read', 'bun/1'])
  const gone = await onBun(['head', 'bun/2'])

  expect([appended.code, invalid.code, gone.code]).toEqual([0, 2, 3])
  expect(invalid.stderr).toContain('Line 2 is not JSON')
  expect([read.code, read.stdout]).toEqual([0, '0\n1\n{"n":12345678901234567890}\n2\n'])
})

test('colours are for terminals', async () => {
  const asked = await world.run(['head', 'gone'], '', { FORCE_COLOR: '1' })
  const plain = await world.run(['head', 'gone'])

  expect([asked.stderr.includes('\x1b[31m'), plain.stderr.includes('\x1b')]).toEqual([true, false])
})
