/** Programs written for the published client go on working: `@durable-streams/client` against our server, there and back. */
import * as published from '@durable-streams/client'
import { DurableStream, FetchError, IdempotentProducer, stream } from '@durable-streams/client'
import * as own from '@millrace/client'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { SERVERS, type ServerUnderTest } from './both-servers.fixture.ts'

const json = { contentType: 'application/json' }
const bytes = { contentType: 'application/octet-stream' }
const PATIENCE = { timeout: 15_000 }

let server: ServerUnderTest
let count = 0

beforeAll(async () => {
  const millrace = SERVERS.find(({ name }) => name === 'Millrace')
  if (millrace === undefined) throw new Error('there is no such server')
  server = await millrace.start()
})

afterAll(() => server.close())

function newUrl(): string {
  return `${server.url}/v1/stream/published/${++count}`
}

function create(options: Partial<published.CreateOptions> = json): Promise<DurableStream> {
  return DurableStream.create({ url: newUrl(), ...options })
}

/** Everything up to the present end. With `live: false` this client reads one page only, and ours come in several. */
async function itemsOf(url: string, offset = '-1'): Promise<readonly unknown[]> {
  return (await stream({ url, offset, live: true })).json()
}

async function offsetOf(handle: DurableStream): Promise<string> {
  const head = await handle.head()
  return (head.exists && head.offset) || 'none'
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    (error) => error,
  )
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

it('(C-001) whatever it exports ours does, with the same constants', () => {
  const constants = Object.entries(published).filter(([, value]) => typeof value !== 'function')

  expect(Object.keys(own)).toEqual(expect.arrayContaining(Object.keys(published)))
  expect(own).toMatchObject(Object.fromEntries(constants.filter(([name]) => name !== 'BackoffDefaults')))
  expect(constants.length).toBeGreaterThan(15)
})

describe('writing', () => {
  it('creates a stream, and finds it when it creates it again', async () => {
    const handle = await create({ ...json, body: '[{"n":0}]', ttlSeconds: 3600 })
    const again = await DurableStream.create({ url: handle.url, ...json, ttlSeconds: 3600 })

    expect(again.contentType).toBe('application/json')
    expect(await itemsOf(handle.url)).toEqual([{ n: 0 }])
  })

  it('appends JSON text and bytes, in order, batched while a request is under way', async () => {
    const [items, octets] = [await create(), await create(bytes)]
    const post = vi.fn(fetch)
    const batching = new DurableStream({ url: items.url, ...json, fetch: post })
    await Promise.all(numbers(0, 50).map((n) => batching.append(JSON.stringify({ n }))))
    await items.append('[1,2]')
    await octets.append(Uint8Array.of(0, 255, 128))
    await octets.append(Promise.resolve(new TextEncoder().encode('grün')))

    expect(post).toHaveBeenCalledTimes(2)
    expect(await itemsOf(items.url)).toEqual([...numbers(0, 50).map((n) => ({ n })), [1, 2]])
    const body = await (await stream({ url: octets.url, live: false })).body()
    expect(body).toEqual(Uint8Array.of(0, 255, 128, ...new TextEncoder().encode('grün')))
  })

  it('appends what streams and iterables yield, and what is piped into a writable', async () => {
    const handle = await create({ contentType: 'text/plain' })
    async function* words() {
      yield 'one '
      yield 'two '
    }
    await handle.appendStream(words())
    await handle.appendStream(new Blob(['three ']).stream())
    await new Blob(['four']).stream().pipeTo(handle.writable())

    expect(await (await stream({ url: handle.url, live: false })).text()).toBe('one two three four')
    expect(await handle.head()).toMatchObject({ streamClosed: true })
  })

  it('tells what a stream is, closes it once and for all, and deletes it', async () => {
    const handle = await create()
    await handle.append('1')
    const { finalOffset } = await handle.close({ body: '2' })

    expect(await handle.close()).toEqual({ finalOffset })
    expect(await DurableStream.head({ url: handle.url })).toMatchObject({
      exists: true,
      contentType: 'application/json',
      offset: finalOffset,
      streamClosed: true,
    })
    expect(await itemsOf(handle.url)).toEqual([1, 2])
    await handle.delete()
    expect(await handle.head()).toEqual({ exists: false })
  })

  it('forks by headers, and reads and writes the fork like any stream', async () => {
    const source = await create()
    await source.append('1')
    const offset = await offsetOf(source)
    await source.append('2')
    const headers = { 'Stream-Forked-From': new URL(source.url).pathname, 'Stream-Fork-Offset': offset }
    const { url } = await DurableStream.create({ url: newUrl(), headers })
    const fork = new DurableStream({ url, ...json })
    await fork.append('3')

    expect(await itemsOf(url)).toEqual([1, 3])
    expect(await itemsOf(source.url)).toEqual([1, 2])
  })
})

describe('reading', () => {
  it('resumes from every offset, in items and in bytes', async () => {
    const [items, octets] = [await create(), await create(bytes)]
    const places: (readonly [item: string, byte: string])[] = []
    for (const n of numbers(0, 8)) {
      places.push([await offsetOf(items), await offsetOf(octets)])
      await items.append(JSON.stringify(n))
      await octets.append(Uint8Array.of(n, n + 100))
    }

    for (const [n, [item, byte]] of places.entries()) {
      expect(await itemsOf(items.url, item)).toEqual(numbers(n, 8))
      const rest = await (await stream({ url: octets.url, offset: byte, live: false })).body()
      expect(rest).toEqual(Uint8Array.from(numbers(n, 8).flatMap((m) => [m, m + 100])))
    }
    expect(await itemsOf(items.url, 'now')).toEqual([])
  })

  it('takes all pages of a long stream', async () => {
    const events = numbers(0, 400).map((n) => ({ n, text: 'grün 🦆' }))
    const long = await create({ ...json, body: JSON.stringify(events) })
    const pages = vi.fn(fetch)
    const response = await stream({ url: long.url, fetch: pages })

    expect(await response.json()).toEqual(events)
    expect(pages.mock.calls.length).toBeGreaterThan(3)
  })

  it.each(['long-poll', 'sse', true] as const)('follows items live by %s up to the end', async (live) => {
    const handle = await create()
    await handle.append('0')
    const response = await stream<number>({ url: handle.url, live })
    const seen: number[] = []
    const offsets: string[] = []
    response.subscribeJson((batch) => {
      seen.push(...batch.items)
      offsets.push(batch.offset)
    })
    await vi.waitFor(() => expect(seen).toEqual([0]), PATIENCE)
    for (const n of numbers(1, 20)) await handle.append(JSON.stringify(n))
    const { finalOffset } = await handle.close({ body: '20' })
    await vi.waitFor(() => expect(seen).toEqual(numbers(0, 21)), PATIENCE)
    await response.closed

    expect(offsets.at(-1)).toBe(finalOffset)
    expect(response.streamClosed).toBe(true)
  })

  it.each(['long-poll', 'sse'] as const)('follows text and bytes live by %s', async (live) => {
    const [words, octets] = [await create({ contentType: 'text/plain' }), await create(bytes)]
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    let text = ''
    const received: number[] = []
    const read = await stream({ url: words.url, live })
    const readBytes = await stream({ url: octets.url, live })
    read.subscribeText((chunk) => {
      text += chunk.text
    })
    readBytes.subscribeBytes((chunk) => {
      received.push(...chunk.data)
    })
    await words.append(' grün\n')
    await words.append('🦆')
    for (const part of [all, all.slice(7), all.slice(0, 3)]) await octets.append(part)
    await vi.waitFor(() => expect([text, received.length]).toEqual([' grün\n🦆', 508]), PATIENCE)
    read.cancel()
    readBytes.cancel()

    expect(received).toEqual([...all, ...all.slice(7), ...all.slice(0, 3)])
  })

  it('waits through time-outs of long-polls', async () => {
    const handle = await create()
    const response = await stream({ url: handle.url, live: 'long-poll' })
    const items: unknown[] = []
    let batches = 0
    response.subscribeJson((batch) => {
      batches++
      items.push(...batch.items)
    })
    await vi.waitFor(() => expect(batches).toBeGreaterThan(3), PATIENCE)
    await handle.append('7')
    await vi.waitFor(() => expect(items).toEqual([7]), PATIENCE)
    response.cancel()
  })
})

describe('an idempotent producer', () => {
  it('stores every message once and in order, and closes the stream', async () => {
    const handle = await create()
    const errors: Error[] = []
    const options = { maxBatchBytes: 100, onError: (error: Error) => void errors.push(error) }
    const producer = new IdempotentProducer(handle, 'orders', options)
    for (const n of numbers(0, 500)) producer.append(JSON.stringify(n))
    await producer.flush()
    const { finalOffset } = await producer.close('"end"')

    expect(await itemsOf(handle.url)).toEqual([...numbers(0, 500), 'end'])
    expect(await offsetOf(handle)).toBe(finalOffset)
    expect(errors).toEqual([])
  })

  it('is deduplicated when it sends the same again', async () => {
    const handle = await create()
    for (let run = 0; run < 2; run++) {
      const producer = new IdempotentProducer(handle, 'job')
      producer.append('1')
      await producer.flush()
      await producer.detach()
    }
    expect(await itemsOf(handle.url)).toEqual([1])
  })

  it('is fenced off by a later epoch, or claims the next', async () => {
    const handle = await create()
    const newer = new IdempotentProducer(handle, 'shared', { epoch: 3 })
    newer.append('1')
    await newer.flush()
    const errors: Error[] = []
    const older = new IdempotentProducer(handle, 'shared', { onError: (error) => void errors.push(error) })
    older.append('2')
    await older.flush()
    const claiming = new IdempotentProducer(handle, 'shared', { autoClaim: true })
    claiming.append('3')
    await claiming.flush()

    expect(errors).toEqual([expect.any(published.StaleEpochError)])
    expect(errors).toMatchObject([{ currentEpoch: 3 }])
    expect(claiming.epoch).toBe(4)
    expect(await itemsOf(handle.url)).toEqual([1, 3])
  })
})

describe('refusals', () => {
  it.each([
    ['append', (url: string) => new DurableStream({ url, ...json }).append('1')],
    ['close', (url: string) => new DurableStream({ url, ...json }).close()],
    ['delete', (url: string) => DurableStream.delete({ url })],
    ['stream', (url: string) => stream({ url })],
  ] as const)('404: %s, with the path in its message', async (_, attempt) => {
    const url = newUrl()
    const error = await rejection(attempt(url))

    expect(error).toBeInstanceOf(FetchError)
    expect(error).toMatchObject({
      status: 404,
      message: expect.stringContaining(new URL(url).pathname),
    })
  })

  it('409: another content type, a closed stream, a Stream-Seq that is not greater', async () => {
    const handle = await create()
    await handle.append('1', { seq: 'b' })
    const other = DurableStream.create({ url: handle.url, contentType: 'text/plain' })
    const late = handle.append('2', { seq: 'a' })
    const foreign = handle.append('2', { contentType: 'text/plain' })
    const refusals = await Promise.all([other, late, foreign].map(rejection))
    expect(refusals).toMatchObject([{ status: 409 }, { status: 409 }, { status: 409 }])
    await handle.close()
    const closed = await rejection(handle.append('3'))

    expect(closed).toMatchObject({ status: 409, headers: { 'stream-closed': 'true' } })
    expect(await itemsOf(handle.url)).toEqual([1])
  })

  it('410: a source that was deleted while a fork needs it', async () => {
    const source = await create()
    await source.append('1')
    const headers = { 'Stream-Forked-From': new URL(source.url).pathname }
    const fork = await DurableStream.create({ url: newUrl(), headers })
    await source.delete()

    const attempts = [source.append('2'), source.delete(), stream({ url: source.url })]
    const refusals = await Promise.all(attempts.map(rejection))
    expect(refusals).toMatchObject([{ status: 410 }, { status: 410 }, { status: 410 }])
    expect(await rejection(source.create())).toMatchObject({ status: 409 })
    expect(await itemsOf(fork.url)).toEqual([1])
  })

  it('400: JSON that is none', async () => {
    const handle = await create()

    expect(await rejection(handle.append('{broken'))).toMatchObject({ status: 400 })
    expect(await itemsOf(handle.url)).toEqual([])
  })
})
