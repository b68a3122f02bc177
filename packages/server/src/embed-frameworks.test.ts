/** Millrace inside other people's servers: the recipes that the documentation gives, over real HTTP. */
import { once } from 'node:events'
import { type ClientRequest, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { memoryStorage } from '@millrace/engine'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createHandler, type MillraceHandler } from './create-handler.ts'
import { openSse, requestsTo, type Send } from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const BINARY = { 'content-type': 'application/octet-stream' }
const PATIENCE = { timeout: 10_000, interval: 5 }
const MIB = 1024 * 1024

/** A listening server with a handler in it. */
interface Mounted {
  readonly port: number
  /** Stops listening, and resolves when no connection is left. */
  stop(): Promise<unknown>
}

interface Mount {
  readonly name: string
  /** URL path of the stream root, as clients see it. */
  readonly root: string
  listen(handler: MillraceHandler): Promise<Mounted>
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return address.port
}

/** What Express' and node's servers have in common. */
function listening(server: ReturnType<typeof createServer>): Promise<Mounted> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const stop = (): Promise<unknown> => new Promise((stopped) => server.close(stopped))
      resolve({ port: portOf(server.address()), stop })
    })
  })
}

const MOUNTS: readonly Mount[] = [
  {
    name: 'node:http, next to other routes',
    root: '/v1/stream',
    listen: (handler) =>
      listening(
        createServer((request, response) => {
          if (request.url?.startsWith('/v1/stream/')) handler.node(request, response)
          else if (request.url === '/hello') response.end('hello')
          else if (request.url === '/echo') request.pipe(response)
          else response.writeHead(404).end('not of this app')
        }),
      ),
  },
  {
    name: 'Express, mounted at the stream root',
    root: '/v1/stream',
    listen(handler) {
      const app = express()
      // Before any body parser: the body of an append belongs to the handler.
      app.use('/v1/stream', handler.node)
      addExpressRoutes(app)
      return listening(createServer(app))
    },
  },
  {
    name: 'Express, mounted in a router below a prefix',
    root: '/api/streams',
    listen(handler) {
      const app = express()
      const api = express.Router()
      api.use('/streams', handler.node)
      app.use('/api', api)
      addExpressRoutes(app)
      return listening(createServer(app))
    },
  },
  {
    name: 'Express, as a condition of its own',
    root: '/v1/stream',
    listen(handler) {
      const app = express()
      app.use((request, response, next) => {
        if (request.path.startsWith('/v1/stream/')) handler.node(request, response)
        else next()
      })
      addExpressRoutes(app)
      return listening(createServer(app))
    },
  },
  {
    name: 'Fastify, with a reply of its own',
    root: '/v1/stream',
    async listen(handler) {
      const app = fastify()
      await app.register(async (streams) => {
        // Only in here: what Fastify would parse stays in the request, for the handler to read.
        streams.removeAllContentTypeParsers()
        streams.addContentTypeParser('*', (_request, _payload, done) => done(null))
        streams.all('/v1/stream/*', (request, reply) => {
          reply.hijack()
          handler.node(request.raw, reply.raw)
        })
      })
      app.get('/hello', () => 'hello')
      app.post('/echo', (request) => request.body)
      await app.listen({ port: 0, host: '127.0.0.1' })
      return { port: portOf(app.server.address()), stop: () => app.close() }
    },
  },
  {
    name: 'Hono on Node',
    root: '/v1/stream',
    listen(handler) {
      const app = new Hono()
      app.all('/v1/stream/*', (context) => handler.fetch(context.req.raw))
      app.get('/hello', (context) => context.text('hello'))
      app.post('/echo', async (context) => context.json(await context.req.json()))
      return new Promise((resolve) => {
        const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
          resolve({ port, stop: () => new Promise((stopped) => server.close(stopped)) }),
        )
      })
    },
  },
]

function addExpressRoutes(app: ReturnType<typeof express>): void {
  app.use(express.json())
  app.get('/hello', (_request, response) => {
    response.send('hello')
  })
  app.post('/echo', (request, response) => {
    response.json(request.body)
  })
}

describe.each(MOUNTS)('in $name', ({ root, listen }) => {
  let handler: MillraceHandler
  let mounted: Mounted
  let send: Send
  let url: string
  const errors: unknown[] = []

  beforeEach(async () => {
    errors.length = 0
    handler = createHandler({
      storage: memoryStorage(),
      streamBasePath: root,
      longPollTimeoutMs: 60_000,
      onError: (error) => errors.push(error),
    })
    mounted = await listen(handler)
    url = `http://127.0.0.1:${mounted.port}`
    send = requestsTo(mounted.port)
  })

  afterEach(async () => {
    handler.drain()
    await mounted.stop()
    await handler.close()
  })

  async function untilReaders(count: number): Promise<void> {
    await vi.waitUntil(() => handler.statistics()?.readers === count, PATIENCE)
  }

  /** A request that is given up again, whatever becomes of it. */
  function open(path: string): ClientRequest {
    const outgoing = request(url + path, { agent: false })
    outgoing.on('error', () => undefined)
    outgoing.on('response', (incoming) => incoming.on('error', () => undefined).resume())
    return outgoing.end()
  }

  test('a stream is created, appended to, read, closed and deleted', async () => {
    const path = `${root}/a/b`
    const created = await send('PUT', path, { headers: TEXT, body: 'one,' })
    const found = await send('PUT', path, { headers: TEXT })
    const appended = await send('POST', path, { headers: TEXT, body: 'two' })
    const closed = await send('POST', path, { headers: { 'stream-closed': 'true' } })
    const read = await send('GET', `${path}?offset=-1`)
    const head = await send('HEAD', path)
    const preflight = await send('OPTIONS', path)
    const removed = await send('DELETE', path)
    const missing = await send('GET', path)

    expect([created, found, appended, closed].map(({ status }) => status)).toEqual([201, 200, 204, 204])
    expect(created.headers.get('location')).toBe(url + path)
    expect([read.status, read.text, read.headers.get('stream-closed')]).toEqual([200, 'one,two', 'true'])
    expect(read.headers.get('content-type')).toBe('text/plain')
    expect(read.headers.get('x-content-type-options')).toBe('nosniff')
    expect([head.status, head.text, head.headers.get('stream-next-offset')]).toEqual([
      200,
      '',
      read.headers.get('stream-next-offset'),
    ])
    expect([preflight.status, removed.status, missing.status]).toEqual([204, 204, 404])
    expect(missing.json()).toMatchObject({ code: 'NOT_FOUND' })
    expect(errors).toEqual([])
  })

  test('JSON is taken as it comes', async () => {
    const path = `${root}/json`
    const body = '[{"n": 12345678901234567890}, "é"]'
    const created = await send('PUT', path, { headers: JSON_TYPE })
    const appended = await send('POST', path, { headers: JSON_TYPE, body })
    const refused = await send('POST', path, { headers: JSON_TYPE, body: '{"n":' })
    const read = await send('GET', path)

    expect([created, appended, refused].map(({ status }) => status)).toEqual([201, 204, 400])
    expect(refused.json()).toMatchObject({ code: 'INVALID_JSON' })
    expect(read.text).toBe('[{"n": 12345678901234567890},\n"é"]')
    expect(read.headers.get('content-type')).toBe('application/json')
  })

  test('a body of 1 MiB goes in and comes back', async () => {
    const path = `${root}/large`
    const body = Uint8Array.from({ length: MIB }, (_, index) => (index * 31) % 256)
    const created = await send('PUT', path, { headers: BINARY, body })
    const appended = await send('POST', path, { headers: BINARY, body })
    const read = await send('GET', path)

    expect([created.status, appended.status]).toEqual([201, 204])
    expect(Buffer.compare(read.bytes, Buffer.concat([body, body]))).toBe(0)
  })

  test('a form and an unknown type are bodies like others', async () => {
    const types = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'x/y']
    const received: string[] = []
    for (const type of types) {
      const headers = { 'content-type': type }
      const path = `${root}/${encodeURIComponent(type)}`
      await send('PUT', path, { headers })
      await send('POST', path, { headers, body: 'a=1&b=2' })
      received.push((await send('GET', path)).text)
    }

    expect(received).toEqual(['a=1&b=2', 'a=1&b=2', 'a=1&b=2'])
  })

  test('a long-poll waits for an append', async () => {
    await send('PUT', `${root}/poll`, { headers: TEXT })
    const poll = send('GET', `${root}/poll?offset=now&live=long-poll`)
    await untilReaders(1)
    await send('POST', `${root}/poll`, { headers: TEXT, body: 'news' })

    const reply = await poll

    expect([reply.status, reply.text]).toEqual([200, 'news'])
    expect(reply.headers.get('stream-cursor')).toMatch(/^\d+$/)
  })

  test('a long-poll that the client gives up is forgotten', async () => {
    await send('PUT', `${root}/poll`, { headers: TEXT })
    const poll = open(`${root}/poll?offset=now&live=long-poll`)
    await untilReaders(1)
    poll.destroy()
    await untilReaders(0)

    expect(errors).toEqual([])
  })

  test('events arrive as they happen', async () => {
    const path = `${root}/events`
    await send('PUT', path, { headers: TEXT, body: 'before' })
    const reader = await openSse(`${url}${path}?offset=-1&live=sse`)
    const backlog = await reader.take(2)
    await send('POST', path, { headers: TEXT, body: 'after' })
    const live = await reader.take(2)
    await send('POST', path, { headers: { 'stream-closed': 'true' } })
    const [end] = await reader.rest()

    expect([reader.status, reader.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    expect(reader.headers.get('content-length')).toBeNull()
    expect([backlog, live].map(([data]) => data?.data)).toEqual(['before', 'after'])
    expect(end?.data).toContain('"streamClosed":true')
    expect(await reader.ended).toBe('complete')
  })

  test('readers of events that go away are forgotten', async () => {
    await send('PUT', `${root}/events`, { headers: TEXT })
    const readers = await Promise.all(
      Array.from({ length: 20 }, () => openSse(`${url}${root}/events?offset=-1&live=sse`)),
    )
    await untilReaders(20)
    for (const reader of readers) reader.abort()
    await untilReaders(0)

    expect(errors).toEqual([])
  })

  test('readers of events that go away before they are answered are forgotten', async () => {
    await send('PUT', `${root}/events`, { headers: TEXT })
    for (let round = 0; round < 40; round++) {
      const events = open(`${root}/events?offset=-1&live=sse`)
      await once(events, 'socket')
      // A few turns more or less: the connection, the request and the answer are cut off in their middle.
      for (let turns = round % 20; turns > 0; turns--) await new Promise(setImmediate)
      events.destroy()
    }
    const last = await openSse(`${url}${root}/events?offset=-1&live=sse`)
    await last.take(1)
    last.abort()
    await untilReaders(0)

    expect(errors).toEqual([])
  })

  test('the other routes of the app still work', async () => {
    await send('PUT', `${root}/a`, { headers: TEXT })
    const hello = await send('GET', '/hello')
    const echo = await send('POST', '/echo', { headers: JSON_TYPE, body: '{"a":1}' })
    const missing = await send('GET', '/nothing')

    expect([hello.status, hello.text]).toEqual([200, 'hello'])
    expect(echo.json()).toEqual({ a: 1 })
    expect(missing.status).toBe(404)
    expect(missing.text).not.toContain('NOT_FOUND')
  })

  test('closing ends readers cleanly, answers polls, and lets the app stop', async () => {
    const path = `${root}/a`
    await send('PUT', path, { headers: TEXT, body: 'abc' })
    const reader = await openSse(`${url}${path}?offset=-1&live=sse`)
    await reader.take(2)
    const poll = send('GET', `${path}?offset=now&live=long-poll`)
    await untilReaders(2)
    const stopped = mounted.stop()
    handler.drain()
    const polled = await poll
    await stopped
    await handler.close()

    expect(await reader.rest()).toEqual([])
    expect(await reader.ended).toBe('complete')
    expect(polled.status).toBe(204)
    expect(handler.statistics()?.readers).toBe(0)
    await expect(send('GET', path)).rejects.toThrow()
  })
})
