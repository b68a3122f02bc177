import { describe, expect, it } from 'vitest'
import { DurableStream } from './durable-stream.ts'
import { answers, quiet, type Script, ScriptedFetch } from './write-script.fixture.ts'

const url = 'http://127.0.0.1:1/v1/stream/log'

function handle(script: Script, contentType = 'text/plain') {
  const net = new ScriptedFetch(script)
  const backoffOptions = { initialDelay: 0, maxDelay: 0 }
  return { net, stream: new DurableStream({ url, contentType, fetch: net.fetch, backoffOptions }) }
}

function source(...parts: readonly (string | Uint8Array)[]): ReadableStream<string | Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part)
      controller.close()
    },
  })
}

describe('appendStream', () => {
  it('(C-114) sends strings and bytes of a stream in one request', async () => {
    const { net, stream } = handle(() => answers.ok())
    await stream.appendStream(source('a', new TextEncoder().encode('b'), 'ü'), { seq: 's1' })
    expect(net.bodies).toEqual(['abü'])
    expect(net.requests[0]?.headers.get('content-type')).toBe('text/plain')
    expect(net.requests[0]?.headers.get('stream-seq')).toBe('s1')
  })

  it('(C-114) takes an async iterable, and asks for half duplex', async () => {
    let duplex: unknown
    const { net, stream } = handle(() => answers.ok())
    const watching = new DurableStream({
      url,
      contentType: stream.contentType,
      fetch: (input, init) => {
        duplex = init !== undefined && 'duplex' in init ? init.duplex : undefined
        return net.fetch(input, init)
      },
    })
    async function* parts() {
      yield 'a'
      yield 'b'
    }
    await watching.appendStream(parts())
    expect(net.bodies).toEqual(['ab'])
    expect(duplex).toBe('half')
  })

  it('(C-114) surfaces the HTTP error, and does not try again', async () => {
    const { net, stream } = handle(() => answers.status(503))
    await expect(stream.appendStream(source('a'))).rejects.toMatchObject({ status: 503, code: 'BUSY' })
    expect(net.requests).toHaveLength(1)
  })

  it('(C-114) ends the source when the request is abandoned', async () => {
    let isEnded = false
    async function* endless() {
      try {
        for (;;) yield 'x'
      } finally {
        isEnded = true
      }
    }
    const stream = new DurableStream({
      url,
      contentType: 'text/plain',
      fetch: async (_, init) => {
        const body = init?.body
        if (body instanceof ReadableStream) await body.cancel('refused')
        return answers.status(404)
      },
    })
    await expect(stream.appendStream(endless())).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(isEnded).toBe(true)
  })
})

describe('writable', () => {
  it('(C-115) stores what is piped into it in order, and closes the stream', async () => {
    const { net, stream } = handle(() => answers.ok('0_3'))
    await source('a', 'b', 'c').pipeTo(stream.writable({ maxBatchBytes: 1 }))
    expect(net.bodies).toEqual(['a', 'b', 'c', ''])
    expect(net.numbers).toEqual(['0/0', '0/1', '0/2', '0/3'])
    expect(net.requests.at(-1)?.headers.get('stream-closed')).toBe('true')
    expect(net.requests[0]?.headers.get('producer-id')).toMatch(/^writable-[0-9a-f]{8}$/)
  })

  it('(C-115) makes pipeTo reject when a batch fails, and does not close the stream', async () => {
    const { net, stream } = handle(() => answers.status(404))
    const errors: Error[] = []
    const target = stream.writable({ maxBatchBytes: 1, onError: (error) => errors.push(error) })
    await expect(source('a', 'b', 'c').pipeTo(target)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(errors.length).toBeGreaterThan(0)
    expect(net.requests.every(({ headers }) => headers.get('stream-closed') === null)).toBe(true)
  })

  it('(C-115) stores what was written when it is aborted, and leaves the stream open', async () => {
    const { net, stream } = handle(() => answers.ok())
    const writer = stream.writable({ producerId: 'w' }).getWriter()
    await writer.write('a')
    await writer.abort()
    expect(net.bodies).toEqual(['a'])
    expect(net.requests[0]?.headers.get('stream-closed')).toBeNull()
  })

  it('asks for the content type at the first chunk, not before', async () => {
    const net = new ScriptedFetch(() => answers.ok('0_0', { 'content-type': 'application/json' }))
    const target = new DurableStream({ url, fetch: net.fetch }).writable()
    await quiet()
    expect(net.requests).toEqual([])
    await source('{"a":1}').pipeTo(target)
    expect(net.requests.map(({ method, body }) => `${method} ${body}`)).toEqual([
      'HEAD ',
      'POST [{"a":1}]',
      'POST ',
    ])
  })
})
