/** `millrace append`: every way in, exactly what was given, once, and what is said when it breaks off. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Finished, type StreamWorld, startStreamWorld } from './stream-process.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-append-'))
let world: StreamWorld
let count = 0

beforeAll(async () => {
  world = await startStreamWorld()
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

/** A new stream, made without a process. */
async function newStream(contentType: string): Promise<string> {
  const name = `s/${++count}`
  const { status } = await fetch(`${world.url}/${name}`, {
    method: 'PUT',
    headers: { 'content-type': contentType },
  })
  expect(status).toBe(201)
  return name
}

async function contentOf(name: string): Promise<string> {
  return (await fetch(`${world.url}/${name}`)).text()
}

async function messagesIn(name: string): Promise<unknown> {
  return JSON.parse(await contentOf(name))
}

function ended({ code, stdout, stderr }: Finished): readonly [number | null, string] {
  return [code, stdout + stderr]
}

describe('a JSON stream', () => {
  test('(C-183) takes one message an argument, and an array stays one message', async () => {
    const name = await newStream('application/json; charset=utf-8')
    await world.good(['append', name, '[1,2]', '{"big":12345678901234567890}', '"text"', '-5', '[]'])

    expect(await contentOf(name)).toContain('{"big":12345678901234567890}')
    expect(await messagesIn(name)).toEqual([[1, 2], { big: expect.any(Number) }, 'text', -5, []])
  })

  test('(C-183) takes a line a message from a pipe: CRLF, blank lines, a byte order mark, no last line end', async () => {
    const name = await newStream('application/json')
    const stdout = await world.good(['append', name], '\ufeff{"a":1}\r\n\n  \t\n"ü☃"\n[3]')

    expect(stdout).toMatch(/^Appended 3 messages to s\/\d+; it ends at offset/)
    expect(await messagesIn(name)).toEqual([{ a: 1 }, 'ü☃', [3]])
  })

  test('(C-183) takes lines from a file, and a whole file as one message', async () => {
    const name = await newStream('application/json')
    const file = join(folder, 'events.ndjson')
    writeFileSync(file, '1\n2\n')
    const document = join(folder, 'document.json')
    writeFileSync(document, '[\n  "pretty",\n  "printed"\n]\n')

    await world.good(['append', name, '--file', file])
    await world.good(['append', name, '--whole', '--file', document])
    await world.good(['append', name, '--whole', '--file', '-'], '{\n}')

    expect(await messagesIn(name)).toEqual([1, 2, ['pretty', 'printed'], {}])
  })

  test('(C-183) a line that is not JSON is named, and nothing after it is sent', async () => {
    const name = await newStream('application/json')
    const input = '{"n":1}\n{"n":2}\n\n{n:4}\n{"n":5}\n'

    const [code, said] = ended(await world.run(['append', name], input))

    expect([code, said]).toEqual([
      2,
      expect.stringMatching(/^Line 4 is not JSON \(.*byte 2\): \{n:4\}\. The 2 messages/),
    ])
    expect(await messagesIn(name)).toEqual([{ n: 1 }, { n: 2 }])
  })

  test('(C-183) JSON over several lines is recognised as such a mistake', async () => {
    const name = await newStream('application/json')

    const [code, said] = ended(await world.run(['append', name], '{\n  "n": 1\n}\n'))

    expect([code, said]).toEqual([2, expect.stringMatching(/^Line 1 .*--whole\. Nothing is stored/)])
    expect(await messagesIn(name)).toEqual([])
  })

  test('(C-183) one argument that is not JSON keeps all of them back', async () => {
    const name = await newStream('application/json')

    const [code, said] = ended(await world.run(['append', name, '{"n":1}', 'hello', '3']))

    expect([code, said]).toEqual([
      2,
      expect.stringMatching(/^Message 2 is not JSON .*: hello\. .*Nothing was sent/),
    ])
    expect(await messagesIn(name)).toEqual([])
  })

  test('(C-183) bytes that are not UTF-8 are refused', async () => {
    const name = await newStream('application/json')

    const [code, said] = ended(await world.run(['append', name], Buffer.from([0x22, 0xff, 0x22])))

    expect([code, said]).toEqual([2, expect.stringContaining('valid UTF-8')])
  })
})

describe('a stream of bytes', () => {
  test('(C-183) takes arguments and pipes as they are', async () => {
    const name = await newStream('text/plain')
    await world.good(['append', name, 'a', '\\n b', 'ü'])
    await world.good(['append', name], '\r\nlast\n')
    await world.good(['append', name, '--', '--dashed'])

    expect(await contentOf(name)).toBe('a\\n bü\r\nlast\n--dashed')
  })

  test.each([[[]], [['--whole']], [['--producer-id', 'job']]])(
    '(C-183) takes 5 MB in and gives them out, with %j',
    async (flags) => {
      const name = await newStream('application/octet-stream')
      const bytes = randomBytes(5_000_000)

      const stdout = await world.good(['append', name, ...flags], bytes)
      const { code, bytes: read } = await world.run(['read', name])

      expect([code, Buffer.compare(read, bytes)]).toEqual([0, 0])
      expect(stdout).toContain(flags.includes('--whole') ? 'Appended 1 message' : 'Appended 4.8 MiB')
    },
  )

  test('passes on what comes while the pipe stays open', async () => {
    const name = await newStream('text/plain')
    const tail = world.begin(['tail', name, '--offset', '-1'])
    const append = world.begin(['append', name])
    append.child.stdin?.write('first ')
    await tail.printed('first ')
    append.child.stdin?.end('second')
    await tail.printed('first second')
    tail.child.kill('SIGINT')

    expect([(await append.over).code, (await tail.over).code]).toEqual([0, 0])
  })
})

describe('an empty input', () => {
  test.each([[[]], [['--whole']], [['--json']], [['--file', '/dev/null']]])(
    '(C-183) with %j appends nothing and says so',
    async (flags) => {
      const name = await newStream('application/json')

      expect(ended(await world.run(['append', name, ...flags], ''))).toEqual([
        2,
        'The input is empty: nothing was appended.\n',
      ])
      expect(ended(await world.run(['append', name, '1', '']))).toEqual([
        2,
        expect.stringContaining('Message 2 is empty'),
      ])
      expect(await messagesIn(name)).toEqual([])
    },
  )
})

describe('batches and repeated runs', () => {
  test('--batch stores whole batches only', async () => {
    const name = await newStream('application/json')
    await world.good(['append', name, '--batch', '2'], '1\n2\n3\n')
    const [code, said] = ended(await world.run(['append', name, '--batch', '2'], '4\n5\n6\n{\n'))

    expect([code, said]).toEqual([2, expect.stringContaining('The 2 messages before it are stored')])
    expect(await messagesIn(name)).toEqual([1, 2, 3, 4, 5])
  })

  test('--batch is refused where nothing can be counted', async () => {
    const name = await newStream('text/plain')

    const [code, said] = ended(await world.run(['append', name, '--batch', '2'], 'abc'))

    expect([code, said]).toEqual([2, expect.stringMatching(/--batch counts messages.*Nothing was sent/)])
    expect(await contentOf(name)).toBe('')
  })

  test.each([[[]], [['--batch', '3']]])(
    '(C-183) with --producer-id and %j a rerun stores only what is missing',
    async (flags) => {
      const name = await newStream('application/json')
      const args = ['append', name, '--producer-id', 'import-7', '--json', ...flags]
      const input = '1\n2\n3\n4\n5\n6\n'

      // Breaks off in the middle of the second batch, and before it.
      expect((await world.run(args, '1\n2\n3\n4\n{')).code).toBe(2)
      const first = JSON.parse(await world.good(args, input))
      const second = JSON.parse(await world.good(args, input))

      expect(await messagesIn(name)).toEqual([1, 2, 3, 4, 5, 6])
      expect([first.messages, second.messages, second.offset]).toEqual([6, 6, undefined])
      expect(second.duplicateBatches).toBe(flags.length === 0 ? 6 : 2)
    },
  )

  test('a rerun says what was stored before, without a warning', async () => {
    const name = await newStream('application/json')
    const args = ['append', name, '--producer-id', 'again', '1', '2']
    await world.good(args)

    expect(ended(await world.run([...args, '3']))).toEqual([
      0,
      expect.stringMatching(
        /^Appended 3 messages to s\/\d+, of which 2 requests were stored before; it ends at.*\n$/,
      ),
    ])
    expect(await messagesIn(name)).toEqual([1, 2, 3])
  })
})

describe('what ends it early', () => {
  test('(C-183) a stream that is closed meanwhile: what is stored is said, and the open pipe is left', async () => {
    const name = await newStream('application/json')
    const tail = world.begin(['tail', name, '--offset', '-1'])
    const append = world.begin(['append', name])
    append.child.stdin?.on('error', () => undefined)
    append.child.stdin?.write('1\n2\n')
    await tail.printed('1\n2\n')
    await world.good(['close', name])
    append.child.stdin?.write('3\n')

    expect(ended(await append.over)).toEqual([
      4,
      expect.stringMatching(/is closed: .* The 2 messages before it are stored\.\n$/),
    ])
    expect((await tail.over).code).toBe(0)
  })

  test('(C-183) Ctrl-C: what was taken is stored, and the code says that there was more', async () => {
    const name = await newStream('application/json')
    const tail = world.begin(['tail', name, '--offset', '-1'])
    const append = world.begin(['append', name])
    append.child.stdin?.on('error', () => undefined)
    append.child.stdin?.write('1\n2\n{"half":')
    await tail.printed('1\n2\n')
    append.child.kill('SIGINT')

    expect(ended(await append.over)).toEqual([130, 'Interrupted. The 2 messages before it are stored.\n'])
    expect(await messagesIn(name)).toEqual([1, 2])
    tail.child.kill('SIGINT')
    expect((await tail.over).code).toBe(0)
  })

  test('a message that is too large for the server', async () => {
    const name = await newStream('text/plain')

    const [code, said] = ended(
      await world.run(['append', name, '--whole'], Buffer.alloc(17 * 1024 * 1024, 'x')),
    )

    expect([code, said]).toEqual([1, expect.stringMatching(/HTTP 413/)])
  })

  test('an input that is too large for one message', async () => {
    const name = await newStream('text/plain')

    const [code, said] = ended(await world.run(['append', name, '--whole', '--file', '/dev/zero']))

    expect([code, said]).toEqual([2, expect.stringContaining('longer than 32 MiB')])
  })
})
