import { createServer, type Server, type ServerResponse } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { parseOrigin } from './http-connection.ts'
import { SseReader } from './sse-reader.ts'

let running: Server | undefined

afterEach(() => {
  running?.closeAllConnections()
  running?.close()
})

/** A server that answers each request with the next of the given scripts, and notes what was asked. */
function serve(
  scripts: readonly ((response: ServerResponse) => void)[],
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.flushHeaders()
    scripts[asked.length - 1]?.(response)
  })
  running = server
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      resolve({ url: `http://127.0.0.1:${port}`, asked })
    })
  })
}

function pair(data: string, offset: string): string {
  return `event: data\ndata:${data}\n\nevent: control\ndata:{"streamNextOffset":"${offset}"}\n\n`
}

/** Reads until `wanted` payloads have come. */
async function read(url: string, wanted: number): Promise<{ reader: SseReader; payloads: string[] }> {
  const payloads: string[] = []
  const reader = await new Promise<SseReader>((resolve, reject) => {
    const made = new SseReader(parseOrigin(url), '/v1/stream/x', 'now', {
      onData: (data) => {
        payloads.push(data)
        if (payloads.length === wanted) resolve(made)
      },
      onFailure: (reason) => reject(new Error(reason)),
    })
    made.start()
  })
  reader.stop()
  return { reader, payloads }
}

test('goes on from the last offset on the same connection when the server ends the response', async () => {
  const { url, asked } = await serve([
    (response) => response.end(pair('one', '0_3')),
    (response) => response.write(pair('two', '0_6')),
  ])
  const { reader, payloads } = await read(url, 2)
  expect(payloads).toEqual(['one', 'two'])
  expect(asked).toEqual(['/v1/stream/x?offset=now&live=sse', '/v1/stream/x?offset=0_3&live=sse'])
  expect([reader.reconnects, reader.drops, reader.socketsOpened]).toEqual([1, 0, 1])
})

test('goes on over a new connection when the response breaks off', async () => {
  const { url, asked } = await serve([
    (response) => response.write(pair('one', '0_3'), () => response.destroy()),
    (response) => response.write(pair('two', '0_6')),
  ])
  const { reader, payloads } = await read(url, 2)
  expect(payloads).toEqual(['one', 'two'])
  expect(asked[1]).toBe('/v1/stream/x?offset=0_3&live=sse')
  expect([reader.reconnects, reader.drops, reader.socketsOpened]).toEqual([0, 1, 2])
})

test('puts together events that arrive in pieces', async () => {
  const text = `: comment\n\n${pair('one', '0_3')}event: data\ndata:two\ndata:  lines\n\n`
  const { url } = await serve([
    (response) => {
      for (const piece of text.match(/.{1,7}/gs) ?? []) response.write(piece)
    },
  ])
  const { payloads } = await read(url, 2)
  expect(payloads).toEqual(['one', 'two\n lines'])
})

test('reports a control event without an offset instead of reading on', async () => {
  const broken = 'event: data\ndata:x\n\nevent: control\ndata:{}\n\n'
  const { url, asked } = await serve([(response) => response.end(broken)])
  await expect(read(url, 2)).rejects.toThrow('without an offset')
  expect(asked).toHaveLength(1)
})
