/** `millrace serve` and `millrace dev` as processes: what they say, what their flags do, and how they stop. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  type Environment,
  plainEnvironment,
  type RunningMillrace,
  runMillrace,
  shellCommand,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const TEXT = { 'content-type': 'text/plain' }
const ESCAPE = String.fromCharCode(27)

const running: RunningMillrace[] = []

async function start(args: readonly string[], environment: Environment = {}): Promise<RunningMillrace> {
  const millrace = await startMillrace(args, environment)
  running.push(millrace)
  return millrace
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((millrace) => millrace.stop('SIGKILL')))
})

function hasProgram(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK)
      return true
    } catch {
      // Not in this folder, or not to be run.
      return false
    }
  })
}

/** What a shell command wrote to stdout. */
function shell(command: string, environment: Environment = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('sh', ['-c', command], { env: plainEnvironment(environment) }, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly isComplete: boolean
}

/** One request on a connection of its own; resolves when the answer is over, however it ended. */
function send(
  url: string,
  method = 'GET',
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent: false, method, headers }, (incoming) => {
      let text = ''
      incoming.on('data', (chunk) => {
        text += chunk
      })
      incoming.on('error', () => undefined)
      incoming.on('close', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text,
          isComplete: incoming.complete,
        }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

describe('serve', () => {
  test('says where it listens, what its storage promises, and what to try', async () => {
    const { url, output } = await start(['serve', '--port', '0'])
    const { stdout, stderr } = output()

    expect(stdout).toContain(`Millrace is listening on ${url}\n`)
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(stdout).toMatch(/^Storage: file-durable in \.\/data \(what was answered survives .*power cut\)$/m)
    expect(stdout.match(/^ {2}curl .*$/gm)?.length).toBe(3)
    expect(stdout).toMatch(/^Stop with Ctrl-C\.$/m)
    expect(stderr).toBe('')
  })

  test.skipIf(!hasProgram('curl'))('prints curl commands that work as they stand (needs curl)', async () => {
    const { output } = await start(['serve', '--port', '0'])
    const commands = output().stdout.match(/^ {2}curl .*$/gm) ?? []

    const printed = await shell(['set -e', ...commands.map((command) => `${command} -sS --fail`)].join('\n'))

    expect(commands.length).toBe(3)
    expect(printed).toBe('[{"n":1}]')
  })

  test.skipIf(!hasProgram('curl'))(
    'prints curl commands that name the stream root it serves (needs curl)',
    async () => {
      const { output } = await start(['serve', '--port', '0', '--stream-base-path', '/a/b/'])
      const commands = output().stdout.match(/^ {2}curl .*$/gm) ?? []

      const printed = await shell(
        ['set -e', ...commands.map((command) => `${command} -sS --fail`)].join('\n'),
      )

      expect(commands.filter((command) => command.includes('/a/b/hello')).length).toBe(3)
      expect(printed).toBe('[{"n":1}]')
    },
  )

  test('refuses a port that is in use with a sentence', async () => {
    const { url } = await start(['serve', '--port', '0'])
    const port = new URL(url).port
    const second = await runMillrace(['serve', '--port', port])

    expect([second.code, second.stdout]).toEqual([1, ''])
    expect(second.stderr).toMatch(new RegExp(`^Port ${port} is in use\\. .*--port`))
    expect(second.stderr).not.toMatch(/^\s+at /m)
  })

  test('keeps streams apart from each other and forgets them at its end', async () => {
    const first = await start(['serve', '--port', '0', '--storage', 'memory'])
    await send(`${first.url}/v1/stream/a`, 'PUT', TEXT, 'abc')
    const read = await send(`${first.url}/v1/stream/a`)
    const exit = await first.stop()
    const second = await start(['serve', '--port', '0', '--storage', 'memory'])
    const again = await send(`${second.url}/v1/stream/a`)

    expect([read.text, exit.code, again.status]).toEqual(['abc', 0, 404])
  })

  test('--stream-base-path moves the streams', async () => {
    const { url } = await start(['serve', '--port', '0', '--stream-base-path', '/streams'])
    const created = await send(`${url}/streams/a`, 'PUT', TEXT, 'abc')
    const read = await send(`${url}/streams/a`)
    const fork = await send(`${url}/streams/b`, 'PUT', { 'stream-forked-from': '/streams/a' })
    const elsewhere = await send(`${url}/v1/stream/a`)
    const health = await send(`${url}/healthz`)

    expect([created.status, read.text, fork.status, elsewhere.status]).toEqual([201, 'abc', 201, 404])
    expect(created.headers.location).toBe(`${url}/streams/a`)
    expect(health.status).toBe(200)
  })

  test('--long-poll-timeout and --sse-reconnect-interval bound how long readers wait', async () => {
    const bounds = ['--long-poll-timeout', '400ms', '--sse-reconnect-interval', '0.3s']
    const { url } = await start(['serve', '--port', '0', ...bounds])
    await send(`${url}/v1/stream/a`, 'PUT', TEXT, 'abc')

    const [polled, followed] = await Promise.all([
      send(`${url}/v1/stream/a?offset=now&live=long-poll`),
      send(`${url}/v1/stream/a?offset=now&live=sse`),
    ])

    expect(polled.status).toBe(204)
    expect([followed.status, followed.isComplete]).toEqual([200, true])
    expect(followed.text).toMatch(/^event: control\n/)
  })

  test('--allow-origin lets pages of these origins in, and no others', async () => {
    const origins = ['--allow-origin', 'https://a.example', '--allow-origin', 'https://b.example']
    const { url } = await start(['serve', '--port', '0', ...origins])
    await send(`${url}/v1/stream/a`, 'PUT', TEXT, 'abc')

    const answers = await Promise.all(
      ['https://a.example', 'https://b.example', 'https://c.example', 'http://localhost:3000'].map((origin) =>
        send(`${url}/v1/stream/a`, 'GET', { origin }),
      ),
    )

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 403, 200])
    expect(answers[0]?.headers['access-control-allow-origin']).toBe('https://a.example')
    expect(answers[2]?.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('--allow-origin * lets every page in', async () => {
    const { url } = await start(['serve', '--port', '0', '--allow-origin', '*'])
    await send(`${url}/v1/stream/a`, 'PUT', TEXT, 'abc')

    const answer = await send(`${url}/v1/stream/a`, 'GET', { origin: 'https://any.example' })

    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, '*'])
  })

  test('--allow-host answers to these names, and to no others', async () => {
    const hosts = ['--allow-host', 'a.example', '--allow-host', 'b.example']
    const { url } = await start(['serve', '--port', '0', ...hosts])

    const answers = await Promise.all(
      ['a.example', 'b.example:8080', 'c.example', 'localhost'].map((host) =>
        send(`${url}/v1/stream/a`, 'GET', { host }),
      ),
    )

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 421, 404])
  })

  test('--allow-host * answers to every name', async () => {
    const { url } = await start(['serve', '--port', '0', '--allow-host', '*'])

    expect((await send(`${url}/v1/stream/a`, 'GET', { host: 'any.example' })).status).toBe(404)
  })

  test('--public-url is what Location starts with', async () => {
    const { url } = await start(['serve', '--port', '0', '--public-url', 'https://streams.example/'])

    const created = await send(`${url}/v1/stream/a`, 'PUT', TEXT)

    expect(created.headers.location).toBe('https://streams.example/v1/stream/a')
  })

  test('--host listens on that address, and answers to it', async () => {
    const { url } = await start(['serve', '--port', '0', '--host', '127.0.0.2'])

    expect(url).toMatch(/^http:\/\/127\.0\.0\.2:\d+$/)
    expect((await send(`${url}/readyz`)).status).toBe(200)
  })
})

test('dev serves from memory', async () => {
  const { url, output } = await start(['dev', '--port', '0'])
  const created = await send(`${url}/v1/stream/a`, 'PUT', TEXT, 'abc')

  expect(output().stdout).toMatch(/^Storage: memory /m)
  expect([created.status, (await send(`${url}/v1/stream/a`)).text]).toEqual([201, 'abc'])
})

/** A bare connection to a server; `text` is all that came over it, once it is closed. */
function bareConnection(url: string): { readonly socket: Socket; readonly text: Promise<string> } {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const text = new Promise<string>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
  return { socket, text }
}

/**
 * Sends a complete request and another one in one piece: once the first is answered, the server is known to have
 * the second.
 */
async function sendTwo(socket: Socket, second: string): Promise<void> {
  const answered = once(socket, 'data')
  socket.write(`HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n${second}`)
  await answered
}

function isListening(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

describe.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('%s', (signal) => {
  test('stops a server that has nothing to do', async () => {
    const millrace = await start(['serve', '--port', '0'])
    const exit = await millrace.stop(signal)

    expect([exit.code, exit.signal, exit.stderr]).toEqual([0, null, ''])
  })

  test('stops a server while readers are connected, and ends their answers cleanly', async () => {
    const millrace = await start(['serve', '--port', '0', '--sse-reconnect-interval', '0'])
    const path = '/v1/stream/a'
    await send(millrace.url + path, 'PUT', TEXT, 'abc')
    const followers = Array.from({ length: 20 }, () => bareConnection(millrace.url))
    const polls = Array.from({ length: 20 }, () => bareConnection(millrace.url))
    const follow = `GET ${path}?offset=-1&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const poll = `GET ${path}?offset=now&live=long-poll HTTP/1.1\r\nHost: localhost\r\n\r\n`
    await Promise.all([
      ...followers.map(({ socket }) => sendTwo(socket, follow)),
      ...polls.map(({ socket }) => sendTwo(socket, poll)),
    ])
    const exit = await millrace.stop(signal)

    const followed = await Promise.all(followers.map(({ text }) => text))
    const polled = await Promise.all(polls.map(({ text }) => text))

    expect([exit.code, exit.signal, exit.stderr]).toEqual([0, null, ''])
    expect(followed.filter((text) => !/data:abc\n\n(.|\n)*\r\n0\r\n\r\n$/.test(text))).toEqual([])
    expect(polled.filter((text) => !text.includes('HTTP/1.1 204 No Content'))).toEqual([])
  })

  test('twice ends a server that is still waiting for a client', async () => {
    const millrace = await start(['serve', '--port', '0'])
    const { socket, text } = bareConnection(millrace.url)
    const head = [
      'POST /v1/stream/a HTTP/1.1',
      'Host: localhost',
      'Content-Type: text/plain',
      'Content-Length: 9',
    ]
    await sendTwo(socket, `${head.join('\r\n')}\r\n\r\nabc`)
    millrace.signal(signal)
    // The first signal has arrived when nobody can connect any more.
    while (await isListening(millrace.url)) await new Promise(setImmediate)
    const exit = await millrace.stop(signal)

    expect(exit.code).toBe(1)
    expect(await text).toMatch(/^HTTP\/1\.1 200 OK/)
  })
})

describe('colours', () => {
  async function isColoured(environment: Environment): Promise<readonly [boolean, boolean]> {
    const { output } = await start(['serve', '--port', '0'], environment)
    const refused = await runMillrace(['serve', '--port', '0', '--storage', 'tape'], environment)
    return [output().stdout.includes(ESCAPE), refused.stderr.includes(ESCAPE)]
  }

  test.each<[string, Environment]>([
    ['where nobody asks for them', {}],
    ['on a build server', { CI: 'true' }],
    ['with NO_COLOR, whatever else asks for them', { NO_COLOR: '1', FORCE_COLOR: '1' }],
  ])('are left out of what is not a terminal: %s', async (_, environment) => {
    expect(await isColoured(environment)).toEqual([false, false])
  })

  test('are there when they are asked for', async () => {
    expect(await isColoured({ FORCE_COLOR: '1' })).toEqual([true, true])
  })

  /** What a terminal gets to see of a command that ends. */
  function onTerminal(environment: Environment): Promise<string> {
    const command = shellCommand(['serve', '--port', '0', '--storage', 'tape'])
    return shell(`script -qec "${command} || true" /dev/null < /dev/null`, environment)
  }

  test.skipIf(!hasProgram('script'))(
    'are there on a terminal, unless NO_COLOR is set (needs script)',
    async () => {
      const plain = await onTerminal({ NO_COLOR: '1' })
      const coloured = await onTerminal({})

      expect(plain).toContain('no storage mode tape')
      expect(coloured).toContain('no storage mode tape')
      expect([plain.includes(ESCAPE), coloured.includes(ESCAPE)]).toEqual([false, true])
    },
  )
})
