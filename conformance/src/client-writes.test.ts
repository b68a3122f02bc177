import {
  DurableStream,
  DurableStreamError,
  FetchError,
  IdempotentProducer,
  SequenceGapError,
  StaleEpochError,
  StreamClosedError,
} from '@millrace/client'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { SERVERS, type ServerUnderTest } from './both-servers.fixture.ts'

const contentType = 'application/json'
async function itemsOf(stream: DurableStream): Promise<readonly unknown[]> {
  const response = await stream.stream({ live: false })
  return response.json()
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    (error) => error,
  )
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

describe.each(SERVERS)('with $name', ({ start, tellsFalseCloses }) => {
  let server: ServerUnderTest
  let count = 0

  beforeAll(async () => {
    server = await start()
  })

  afterAll(() => server.close())

  afterEach(() => {
    vi.restoreAllMocks()
  })

  function newUrl(): string {
    return `${server.url}/v1/stream/writes/${++count}`
  }

  function newStream(): Promise<DurableStream> {
    return DurableStream.create({ url: newUrl(), contentType })
  }

  describe('a handle', () => {
    it('(C-101, C-105) creates twice, appends values and JSON text, and reads them back', async () => {
      const stream = await newStream()
      await (await DurableStream.create({ url: stream.url, contentType })).append({ type: 'created', at: 1 })
      await stream.append(JSON.stringify({ type: 'paid' }))
      await Promise.all(
        [[1, 2], 'null', 7, false, JSON.stringify('text')].map((value) => stream.append(value)),
      )
      expect(await itemsOf(stream)).toEqual([
        { type: 'created', at: 1 },
        { type: 'paid' },
        [1, 2],
        null,
        7,
        false,
        'text',
      ])
      await expect(
        DurableStream.create({ url: stream.url, contentType: 'text/plain' }),
      ).rejects.toMatchObject({
        code: 'CONFLICT_EXISTS',
      })
    })

    it('(C-102) an array is several messages in create, and one in append', async () => {
      const stream = await DurableStream.create({ url: newUrl(), contentType, body: '[1,2]' })
      await stream.append('[3,4]')
      expect(await itemsOf(stream)).toEqual([1, 2, [3, 4]])
    })

    it('(C-103, C-104, C-113) finds, deletes and makes anew', async () => {
      const stream = await newStream()
      const found = await DurableStream.connect({ url: stream.url })
      expect(found.contentType).toBe(contentType)
      expect(await found.head()).toMatchObject({ exists: true, streamClosed: false })
      await found.delete()
      expect(await DurableStream.head({ url: stream.url })).toEqual({ exists: false })
      const error = await rejection(DurableStream.connect({ url: stream.url }))
      expect(error).toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining('/v1/stream/writes/'),
      })
      await expect(found.delete()).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await found.create()
      expect(await itemsOf(found)).toEqual([])
    })

    it('(C-110, C-111) closes after what was appended, and refuses what comes later', async () => {
      const stream = await newStream()
      const appends = numbers(0, 5).map((n) => stream.append(n))
      const closed = await stream.close({ body: 'null' })
      await Promise.all(appends)
      expect(await stream.close()).toEqual(closed)
      const error = await rejection(stream.append(9))
      for (const type of [FetchError, DurableStreamError, StreamClosedError])
        expect(error).toBeInstanceOf(type)
      expect(error).toMatchObject({ code: 'STREAM_CLOSED', status: 409, finalOffset: closed.finalOffset })
      await expect(stream.close({ body: '9' })).rejects.toMatchObject({ finalOffset: closed.finalOffset })
      expect(await itemsOf(stream)).toEqual([0, 1, 2, 3, 4, null])
    })

    it('(C-114) appends what a source yields in one request', async () => {
      const stream = await newStream()
      async function* parts() {
        yield '[{"n":1},'
        yield '{"n":2}]'
      }
      await stream.appendStream(parts())
      expect(await itemsOf(stream)).toEqual([{ n: 1 }, { n: 2 }])
      await expect(stream.appendStream(new Blob(['{"n":']).stream())).rejects.toMatchObject({ status: 400 })
    })

    it('(C-115) stores what is piped into it, and ends the stream', async () => {
      const stream = await newStream()
      const lines = numbers(0, 1000).map(String)
      const source = new ReadableStream<string>({
        pull(controller) {
          const line = lines.shift()
          if (line === undefined) controller.close()
          else controller.enqueue(line)
        },
      })
      await source.pipeTo(new DurableStream({ url: stream.url }).writable({ maxBatchBytes: 100 }))
      expect(await itemsOf(stream)).toEqual(numbers(0, 1000))
      expect(await stream.head()).toMatchObject({ streamClosed: true })
    })

    it('(C-118) forks with options, on the PUT only', async () => {
      const source = await newStream()
      await source.append('"shared"')
      const fork = await DurableStream.create({ url: newUrl(), forkedFrom: new URL(source.url).pathname })
      await fork.append('"own"')
      await source.append('"later"')
      expect(await itemsOf(fork)).toEqual(['shared', 'own'])
      expect(fork.contentType).toBe(contentType)
    })

    it('(C-118) forks by headers, and knows a source that is gone by its code', async () => {
      const source = await newStream()
      await source.append(1)
      const head = await source.head()
      const offset = (head.exists && head.offset) || 'none'
      await source.append(2)
      const forkedFrom = { 'Stream-Forked-From': new URL(source.url).pathname, 'Stream-Fork-Offset': offset }
      const { url } = await DurableStream.create({ url: newUrl(), headers: forkedFrom })
      const fork = new DurableStream({ url })
      await fork.append({ own: true })
      await source.delete()
      expect(await itemsOf(fork)).toEqual([1, { own: true }])
      await expect(source.stream({ live: false })).rejects.toMatchObject({ status: 410, code: 'GONE' })
      await expect(source.create()).rejects.toMatchObject({ status: 409, code: 'CONFLICT_EXISTS' })
    })

    it('(C-104) tells what the server says of a stream, its expiry included', async () => {
      const url = newUrl()
      await DurableStream.create({ url, contentType, ttlSeconds: 3600, body: '[1]', closed: true })
      const head = await DurableStream.head({ url })
      expect(head).toMatchObject({ exists: true, contentType, streamClosed: true, ttlSeconds: 3600 })
    })

    it('(C-106, C-112) sends the last Stream-Seq, and is refused when it is not greater', async () => {
      const stream = await newStream()
      await Promise.all(['a', 'b', 'c'].map((seq) => stream.append(JSON.stringify(seq), { seq })))
      const error = await rejection(stream.append('"late"', { seq: 'c' }))
      expect(error).toMatchObject({ status: 409, code: 'CONFLICT_SEQ' })
      expect(error).toMatchObject({ message: expect.stringContaining('/v1/stream/writes/') })
      await stream.append('"d"', { seq: 'd' })
      expect(await itemsOf(stream)).toEqual(['a', 'b', 'c', 'd'])
    })
  })

  describe('a producer', () => {
    it('(C-142) stores what a new process writes under the same id and epoch', async () => {
      const stream = await newStream()
      for (const run of [0, 1, 2]) {
        const producer = new IdempotentProducer(stream, 'orders', { epoch: 0, autoClaim: true })
        producer.append({ run, n: 0 })
        await producer.flush()
        producer.append({ run, n: 1 })
        await producer.flush()
      }
      expect(await itemsOf(stream)).toEqual([0, 1, 2].flatMap((run) => [0, 1].map((n) => ({ run, n }))))
    })

    it('(C-140) loses and doubles nothing when another takes over in the middle of its batches', {
      timeout: 60_000,
    }, async () => {
      const stream = await newStream()
      const options = { autoClaim: true, maxBatchBytes: 1 }
      const first = new IdempotentProducer(stream, 'shared', options)
      for (const n of numbers(0, 200)) first.append(n)
      await first.flush()
      const second = new IdempotentProducer(stream, 'shared', options)
      for (const n of numbers(200, 400)) first.append(n)
      second.append('"second"')
      await Promise.all([first.flush(), second.flush()])
      const items = await itemsOf(stream)
      expect(items.filter((item) => typeof item === 'number')).toEqual(numbers(0, 400))
      expect(items.filter((item) => item === 'second')).toHaveLength(1)
      expect(first.epoch).toBeGreaterThan(1)
    })

    it('(C-138) without autoClaim is fenced off by a higher epoch, and comes back by a restart', async () => {
      const stream = await newStream()
      const newer = new IdempotentProducer(stream, 'shared', { epoch: 3 })
      newer.append(1)
      await newer.flush()
      const older = new IdempotentProducer(stream, 'shared')
      older.append(2)
      expect(await rejection(older.flush())).toBeInstanceOf(StaleEpochError)
      await older.restart()
      older.append(3)
      await older.flush()
      expect(older.epoch).toBe(4)
      expect(await itemsOf(stream)).toEqual([1, 3])
    })

    it('(C-149) notices that the stream was made anew, and goes on after a restart', async () => {
      const stream = await newStream()
      const producer = new IdempotentProducer(stream, 'orders')
      for (const n of numbers(0, 20)) {
        producer.append(n)
        await producer.flush()
      }
      await stream.delete()
      await stream.create()
      producer.append('"lost"')
      expect(await rejection(producer.flush())).toBeInstanceOf(SequenceGapError)
      await producer.restart()
      producer.append('"found"')
      await producer.flush()
      expect(await itemsOf(stream)).toEqual(['found'])
    })

    it('(C-146) closes with a last message; another producer finds the stream closed', async () => {
      const stream = await newStream()
      const producer = new IdempotentProducer(stream, 'orders')
      for (const n of numbers(0, 10)) producer.append(n)
      const { finalOffset } = await producer.close({ done: true })
      expect(await stream.head()).toMatchObject({ streamClosed: true, offset: finalOffset })
      expect((await itemsOf(stream)).at(-1)).toEqual({ done: true })
      const other = new IdempotentProducer(stream, 'other')
      other.append(1)
      expect(await rejection(other.flush())).toBeInstanceOf(StreamClosedError)
    })

    it.each([true, false])(
      '(C-146) closes without a message, which is no duplicate (autoClaim %s)',
      async (autoClaim) => {
        const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
        for (const items of [[], [1, 2]]) {
          const stream = await newStream()
          const producer = new IdempotentProducer(stream, 'orders', { autoClaim })
          for (const item of items) producer.append(item)
          await producer.flush()
          const { finalOffset } = await producer.close()
          expect(await stream.head()).toMatchObject({ streamClosed: true, offset: finalOffset })
          expect([producer.epoch, producer.duplicateCount, producer.lastSuccessfulOffset]).toEqual([
            0,
            0,
            finalOffset,
          ])
          expect(await itemsOf(stream)).toEqual(items)
        }
        expect(warn).not.toHaveBeenCalled()
      },
    )

    it('(C-146) a close is not taken for one that an older producer of the same id and epoch used its number for', async () => {
      const stream = await newStream()
      const older = new IdempotentProducer(stream, 'orders')
      older.append(1)
      await older.flush()
      const producer = new IdempotentProducer(stream, 'orders', { autoClaim: true })
      await producer.close()
      expect(await stream.head()).toMatchObject({ streamClosed: tellsFalseCloses })
      expect(producer.epoch).toBe(tellsFalseCloses ? 1 : 0)
    })

    it('(C-146) without autoClaim, a close whose number was used for a batch does not pass for one', async () => {
      vi.spyOn(console, 'warn').mockImplementation(() => undefined)
      const stream = await newStream()
      const older = new IdempotentProducer(stream, 'orders')
      for (const item of [1, 2]) {
        older.append(item)
        await older.flush()
      }
      const producer = new IdempotentProducer(stream, 'orders')
      producer.append(1)
      await producer.flush()
      const closing = producer.close().then(
        () => 'closed',
        (error: unknown) => (error instanceof DurableStreamError ? error.code : error),
      )
      expect(await closing).toBe(tellsFalseCloses ? 'CONFLICT_SEQ' : 'closed')
      expect(await stream.head()).toMatchObject({ streamClosed: false })
      expect(await itemsOf(stream)).toEqual([1, 2])
    })

    it('(C-144) names the messages of a batch that the server refuses', async () => {
      const stream = await newStream()
      const producer = new IdempotentProducer(stream, 'orders', { maxBatchBytes: 1 })
      producer.append({ n: 0 })
      producer.append('{broken')
      producer.append({ n: 2 })
      await expect(producer.flush()).rejects.toThrow(
        /2 messages, 1 to 2, were not delivered; first: \{broken/,
      )
      expect(await itemsOf(stream)).toEqual([{ n: 0 }])
    })

    it('(C-143) without autoClaim has a job that is done again deduplicated', async () => {
      const stream = await newStream()
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
      const duplicates: number[] = []
      for (let run = 0; run < 2; run++) {
        const producer = new IdempotentProducer(stream, 'job', { maxBatchBytes: 1 })
        for (const n of numbers(0, 3)) producer.append(n)
        await producer.flush()
        duplicates.push(producer.duplicateCount)
      }
      expect(duplicates).toEqual([0, 3])
      expect(warn).toHaveBeenCalledTimes(1)
      expect(await itemsOf(stream)).toEqual([0, 1, 2])
    })
  })
})
