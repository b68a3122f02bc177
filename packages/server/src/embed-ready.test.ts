/** Opening and closing a handler: what is answered before its store is there, and after it is gone. */
import { createServer, type Server } from 'node:http'
import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createHandler, type MillraceHandler } from './create-handler.ts'
import { createServer as createMillrace } from './create-server.ts'

const PATH = '/v1/stream/early'
const TEXT = { 'content-type': 'text/plain' }

/** A promise that is settled from outside. */
function deferred<T>(): {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
} {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve: (value) => resolve(value), reject: (error) => reject(error) }
}

async function listen(handler: MillraceHandler): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer(handler.node)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { server, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}` }
}

describe('a store that is there at once', () => {
  test('is told to onReady, before createHandler returns', async () => {
    const calls: string[] = []
    const handler = createHandler({ storage: memoryStorage(), onReady: () => calls.push('ready') })
    calls.push('returned')
    await handler.ready
    const response = await handler.fetch(new Request('http://localhost/readyz'))
    await handler.close()

    expect(calls).toEqual(['ready', 'returned'])
    expect(response.status).toBe(200)
  })

  test('has statistics from the start', async () => {
    const handler = createHandler({ storage: memoryStorage() })
    const statistics = handler.statistics()
    await handler.close()

    expect(statistics).toMatchObject({ readers: 0, entities: 0, pendingCommits: 0 })
  })
})

describe.each(['node', 'fetch'])('a store that is still opening, over %s', (adapter) => {
  const opening = { storage: deferred<StreamStorage>() }
  let handler: MillraceHandler
  let server: Server
  let url: string
  const calls: string[] = []

  beforeEach(async () => {
    calls.length = 0
    opening.storage = deferred()
    handler = createHandler({
      storage: opening.storage.promise,
      onReady: () => calls.push('ready'),
      onError: (error) => calls.push(`error: ${error}`),
    })
    const listening = await listen(handler)
    server = listening.server
    url = listening.url
  })

  afterEach(async () => {
    opening.storage.resolve(memoryStorage())
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await handler.close()
  })

  function send(path: string, init: RequestInit = {}): Promise<Response> {
    return adapter === 'node' ? fetch(url + path, init) : handler.fetch(new Request(url + path, init))
  }

  test('is answered 503 with Retry-After, and the server is alive but not ready', async () => {
    const replies = await Promise.all([
      send(PATH),
      send(`${PATH}?offset=-1&live=sse`),
      send(PATH, { method: 'HEAD' }),
      send(PATH, { method: 'PUT', headers: TEXT, body: 'abc' }),
      send(PATH, { method: 'DELETE' }),
      send('/readyz'),
    ])
    const alive = await Promise.all([send('/healthz'), send('/health')])
    const preflight = await send(PATH, { method: 'OPTIONS' })
    const misplaced = await send('/other')

    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 503))
    expect(replies.map(({ headers }) => headers.get('retry-after'))).toEqual(replies.map(() => '1'))
    expect(alive.map(({ status }) => status)).toEqual([200, 200])
    expect([preflight.status, misplaced.status]).toEqual([204, 404])
    expect([handler.statistics(), calls]).toEqual([undefined, []])
  })

  test('is used as soon as it is open', async () => {
    const early = await send(PATH, { method: 'PUT', headers: TEXT, body: 'abc' })
    opening.storage.resolve(memoryStorage())
    await handler.ready
    const ready = await send('/readyz')
    const created = await send(PATH, { method: 'PUT', headers: TEXT, body: 'abc' })
    const read = await send(PATH)

    expect([early.status, ready.status, created.status, await read.text()]).toEqual([503, 200, 201, 'abc'])
    expect(calls).toEqual(['ready'])
    expect(handler.statistics()?.entities).toBe(1)
  })

  test('that cannot be opened rejects ready and is told to onError, and nothing else breaks', async () => {
    const failure = new Error('the disk is gone')
    opening.storage.reject(failure)

    await expect(handler.ready).rejects.toBe(failure)
    const replies = await Promise.all([send(PATH), send('/readyz'), send('/healthz')])
    await handler.close()

    expect(replies.map(({ status }) => status)).toEqual([503, 503, 200])
    expect(calls).toEqual(['error: Error: the disk is gone'])
  })
})

describe('createServer', () => {
  test('waits for its store', async () => {
    const calls: string[] = []
    const storage = new Promise<StreamStorage>((resolve) => {
      setImmediate(() => {
        calls.push('open')
        resolve(memoryStorage())
      })
    })
    const server = await createMillrace({ storage, port: 0, onReady: () => calls.push('ready') })
    calls.push('listening')
    const ready = await fetch(`${server.url}/readyz`)
    await server.close()

    expect(calls).toEqual(['open', 'ready', 'listening'])
    expect(ready.status).toBe(200)
  })

  test('tells a start that fails to its caller only', async () => {
    const told: unknown[] = []
    const starting = createMillrace({
      storage: memoryStorage(),
      port: 0,
      authentication: { apiKeys: { file: '/nowhere/keys.json' } },
      onError: (error) => told.push(error),
    })

    await expect(starting).rejects.toThrow('/nowhere/keys.json cannot be')
    expect(told).toEqual([])
  })

  test('rejects when its store cannot be opened', async () => {
    const failure = new Error('the disk is gone')
    const errors: unknown[] = []
    const storage = Promise.reject(failure)

    await expect(createMillrace({ storage, port: 0, onError: (error) => errors.push(error) })).rejects.toBe(
      failure,
    )
    // Told once: to whoever awaits the server.
    expect(errors).toEqual([])
  })

  test('closes its store when the port is in use', async () => {
    let closed = 0
    const memory = memoryStorage()
    const close = (): Promise<void> => {
      closed++
      return memory.close()
    }
    const storage = new Proxy(memory, {
      get: (target, name) => {
        if (name === 'close') return close
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const first = await createMillrace({ storage: memoryStorage(), port: 0 })
    const second = createMillrace({ storage, port: first.port })

    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await first.close()
    expect(closed).toBe(1)
  })
})

describe('a handler that is closed', () => {
  test('answers 503 from then on, and closing it again changes nothing', async () => {
    const handler = createHandler({ storage: memoryStorage() })
    await handler.fetch(new Request(`http://localhost${PATH}`, { method: 'PUT', headers: TEXT }))
    await handler.close()
    await handler.close()
    handler.drain()
    const replies = await Promise.all(
      [PATH, '/readyz', '/healthz'].map((path) => handler.fetch(new Request(`http://localhost${path}`))),
    )

    expect(replies.map(({ status }) => status)).toEqual([503, 503, 200])
  })

  test('refuses options that cannot work before anything is opened', () => {
    const storage = memoryStorage()

    expect(() => createHandler({ storage, longPollTimeoutMs: 0 })).toThrow(/longPollTimeoutMs/)
    expect(() => createHandler({ storage, sseHeartbeatIntervalMs: -1 })).toThrow(/sseHeartbeatIntervalMs/)
    expect(() => createHandler({ storage, maxBodyBytes: Number.NaN })).toThrow(/maxBodyBytes/)
    expect(() => createHandler({ storage, streamBasePath: 'v1/stream' })).toThrow(/streamBasePath/)
    expect(() => createHandler({ storage, streamBasePath: '/v1/str eam' })).toThrow(/streamBasePath/)
  })
})
