/** `millrace read` and `millrace tail`: exact output, offsets to go on from, and every way to stop. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileStorage } from '@millrace/storage-file'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plainEnvironment, shellCommand } from './millrace-process.fixture.ts'
import { type StreamWorld, startStreamWorld } from './stream-process.fixture.ts'

let world: StreamWorld

beforeAll(async () => {
  world = await startStreamWorld()
})
afterAll(() => world.close())

async function send(
  method: 'PUT' | 'POST',
  name: string,
  type: string,
  body?: string | Buffer,
): Promise<void> {
  const headers = { 'content-type': type }
  const { ok } = await fetch(`${world.url}/${name}`, { method, headers, ...(body !== undefined && { body }) })
  expect(ok).toBe(true)
}

/** Each line of what was printed, parsed. */
function objectsIn(stdout: string): readonly Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

interface ShellEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function shell(line: string): Promise<ShellEnd> {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', line], {
      env: plainEnvironment({ MILLRACE_URL: world.url }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

const EXACT = '{"n":12345678901234567890,"n":1.10,"e":"\\u00fc,\\n"}'

describe('read', () => {
  test('(C-183) prints a message a line, digit by digit as it was written', async () => {
    await send('PUT', 'exact', 'application/json', `[ ${EXACT},\n[1,\r\n\t2], "a,\\n]" ]`)
    await send('PUT', 'empty', 'application/json')

    expect(await world.good(['read', 'exact'])).toBe(`${EXACT}\n[1,   2]\n"a,\\n]"\n`)
    expect(await world.good(['read', 'empty'])).toBe('')
  })

  test('(C-183) --json tells where to go on, once for messages that come together', async () => {
    await send('PUT', 'pages', 'application/json', `[${EXACT},2]`)
    const stdout = await world.good(['read', 'pages', '--json'])
    const [page] = objectsIn(stdout)

    expect(stdout).toContain(`"messages":[${EXACT},2]}`)
    expect(objectsIn(stdout)).toEqual([
      { offset: expect.any(String), upToDate: true, closed: false, messages: expect.any(Array) },
    ])
    await send('POST', 'pages', 'application/json', '3')
    expect(await world.good(['read', 'pages', '--offset', String(page?.offset)])).toBe('3\n')
    expect(objectsIn(await world.good(['read', 'pages', '--offset', 'now', '--json']))).toEqual([
      { offset: expect.any(String), upToDate: true, closed: false, messages: [] },
    ])
  })

  test('(C-183) --json of other streams has base64', async () => {
    await send('PUT', 'bytes', 'application/octet-stream', Buffer.from([0, 255, 10]))

    expect(objectsIn(await world.good(['read', 'bytes', '--json']))).toMatchObject([{ base64: 'AP8K' }])
  })

  test('--show-offset goes to stderr', async () => {
    await send('PUT', 'shown', 'text/plain', 'text')

    expect(await world.run(['read', 'shown', '--show-offset'])).toMatchObject({
      stdout: 'text',
      stderr: expect.stringMatching(/^Next offset: \d+_\d+\n$/),
    })
  })

  test('reads a stream of many pages', async () => {
    const megabyte = `"${'x'.repeat(1_000_000)}"`
    await send('PUT', 'long', 'application/json')
    for (let i = 0; i < 9; i++) await send('POST', 'long', 'application/json', megabyte)

    expect(await world.good(['read', 'long'])).toBe(`${megabyte}\n`.repeat(9))
    expect(objectsIn(await world.good(['read', 'long', '--json'])).length).toBeGreaterThan(1)
  })
})

describe('a pipe', () => {
  test.each(['read', 'tail --offset -1', 'read --json'])(
    '(C-183) whose reader leaves ends %s quietly',
    async (command) => {
      await send('PUT', 'wide', 'application/json', `[${'"some text",'.repeat(300_000)}0]`)
      const [name = '', ...flags] = command.split(' ')
      const line = `${shellCommand([name, 'wide', ...flags])} | head -c 5; echo; echo \${PIPESTATUS[0]}`

      const { stdout, stderr } = await shell(line)

      expect([stdout.split('\n')[1], stderr]).toEqual(['0', ''])
    },
  )

  test('(C-183) from one stream to another', async () => {
    await send('PUT', 'from', 'application/json', '[{"a":1},[2],"3"]')
    await send('PUT', 'to', 'application/json')

    const { code, stderr } = await shell(
      `${shellCommand(['read', 'from'])} | ${shellCommand(['append', 'to'])}`,
    )

    expect([code, stderr]).toEqual([0, ''])
    expect(await world.good(['read', 'to'])).toBe('{"a":1}\n[2]\n"3"\n')
  })

  test.each(['read', 'head', 'create'])(
    'a disk that is full is no reader that leaves %s',
    async (command) => {
      await send('PUT', 'full', 'application/octet-stream', 'text')

      const { code, stderr } = await shell(`${shellCommand([command, 'full'])} > /dev/full`)

      expect([code, stderr]).toEqual([1, expect.stringContaining('ENOSPC')])
    },
  )
})

describe('tail', () => {
  test.each(['long-poll', 'sse'])(
    '(C-183) by %s prints what comes until the stream is closed',
    async (live) => {
      const name = `followed-${live}`
      await send('PUT', name, 'application/json', '"before"')
      const tail = world.begin(['tail', name, '--live', live, '--json'])
      await tail.printed('"messages":[]')
      await send('POST', name, 'application/json', `[${EXACT},"two"]`)
      await tail.printed(EXACT)
      await send('POST', name, 'application/json', '"three"')
      await tail.printed('three')
      await world.good(['close', name])
      const { code, stdout, stderr } = await tail.over
      const lines = objectsIn(stdout)

      expect([code, stderr]).toEqual([0, ''])
      expect(lines.flatMap(({ messages }) => messages)).toEqual([expect.any(Object), 'two', 'three'])
      expect(lines.map(({ closed }) => closed)).toEqual([...lines.slice(1).map(() => false), true])
    },
  )

  test.each(['long-poll', 'sse'])('by %s gives bytes exactly', async (live) => {
    const name = `bytes-${live}`
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, at) => at % 256))
    await send('PUT', name, 'application/octet-stream', bytes)
    const tail = world.begin(['tail', name, '--live', live, '--offset', '-1'])
    await send('POST', name, 'application/octet-stream', Buffer.from('the end'))
    await tail.printed('the end')
    tail.child.kill('SIGINT')
    const { code, bytes: printed, stderr } = await tail.over

    expect([code, stderr]).toEqual([0, ''])
    expect(printed.equals(Buffer.concat([bytes, Buffer.from('the end')]))).toBe(true)
  })

  test('(C-183) Ctrl-C ends it, with the offset if that was asked for', async () => {
    await send('PUT', 'stopped', 'text/plain', 'text')
    const tail = world.begin(['tail', 'stopped', '--offset', '-1', '--show-offset'])
    await tail.printed('text')
    tail.child.kill('SIGINT')

    expect(await tail.over).toMatchObject({
      code: 0,
      stdout: 'text',
      stderr: expect.stringMatching(/^Next offset: /),
    })
  })

  test('a server that goes away is waited for', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'millrace-tail-'))
    const first = await startStreamWorld({ storage: fileStorage({ dataDir }) })
    await first.good(['create', 'kept', '--content-type', 'text', 'one'])
    const tail = first.begin(['tail', 'kept', '--offset', '-1'])
    await tail.printed('one')
    const { port } = first.server
    const isLost = new Promise<void>((resolve) => tail.child.stderr?.once('data', () => resolve()))
    await first.close()
    await isLost
    const second = await startStreamWorld({ port, storage: fileStorage({ dataDir }) })
    await second.good(['close', 'kept', ' two'])
    const { code, stdout, stderr } = await tail.over
    await second.close()
    rmSync(dataDir, { recursive: true })

    expect([code, stdout, stderr]).toEqual([0, 'one two', 'The server does not answer: trying again.\n'])
  })
})
