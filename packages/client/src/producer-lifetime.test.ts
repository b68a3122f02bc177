import { afterEach, describe, expect, it, vi } from 'vitest'
import { each, rejection, server, setUp } from './producer-setup.fixture.ts'
import { undeliveredMessages } from './undelivered.ts'
import { answers, quiet } from './write-script.fixture.ts'

const small = { maxBatchBytes: 1, maxBufferedBytes: 8, maxInFlight: 1 }

afterEach(() => {
  vi.restoreAllMocks()
})

describe('close', () => {
  it('(C-146) stores the last message and the end of the stream in one request', async () => {
    const { net, producer } = setUp(server())
    producer.append(1)
    expect(await producer.close({ last: true })).toEqual({ finalOffset: '0_0001' })
    expect(net.bodies).toEqual(['[1]', '[{"last":true}]'])
    expect(net.numbers).toEqual(['0/0', '0/1'])
    expect(net.requests.map(({ headers }) => headers.get('stream-closed'))).toEqual([null, 'true'])
    expect(producer.lastSuccessfulOffset).toBe('0_0001')
  })

  it('(C-146) gives the same result again, and to concurrent calls', async () => {
    const { net, producer } = setUp(server())
    const results = await Promise.all([producer.close('"end"'), producer.close('"ignored"')])
    results.push(await producer.close())
    expect(results).toEqual([1, 2, 3].map(() => ({ finalOffset: '0_0000' })))
    expect(net.bodies).toEqual(['["end"]'])
    expect(() => producer.append(1)).toThrow(/closed/)
  })

  it('(C-146) can be tried again, with its number and its first message', async () => {
    const backoffOptions = { maxRetries: 0, initialDelay: 0 }
    const { net, producer } = setUp(() => answers.status(503), { handle: { backoffOptions } })
    await expect(producer.close('"end"')).rejects.toMatchObject({ status: 503 })
    expect(() => producer.append(1)).toThrow(/closing/)
    net.become(server())
    expect(await producer.close('"other"')).toEqual({ finalOffset: '0_0001' })
    expect(net.numbers).toEqual(['0/0', '0/0'])
    expect(net.bodies).toEqual(['["end"]', '["end"]'])
  })

  it('(C-146) takes a repeat for success when its answer was lost', async () => {
    const { net, producer } = setUp(
      (_, index) =>
        index === 0
          ? new TypeError('fetch failed')
          : new Response(null, { status: 204, headers: { 'stream-next-offset': '0_5' } }),
      { autoClaim: true },
    )
    expect(await producer.close()).toEqual({ finalOffset: '0_5' })
    expect(net.requests).toHaveLength(2)
  })

  it('(C-146) without a message is no duplicate, although it is answered like one', async () => {
    const headers = { 'stream-next-offset': '0_5', 'stream-closed': 'true', 'producer-seq': '0' }
    const { net, producer } = setUp(() => new Response(null, { status: 204, headers }), { autoClaim: true })
    expect(await producer.close()).toEqual({ finalOffset: '0_5' })
    expect(net.numbers).toEqual(['0/0'])
    expect([producer.duplicateCount, producer.lastSuccessfulOffset]).toEqual([0, '0_5'])
  })

  it('(C-146) by another producer is an error', async () => {
    const { producer } = setUp(() => answers.closed())
    await expect(producer.close()).rejects.toMatchObject({ code: 'STREAM_CLOSED' })
  })

  it('leaves the stream open when messages were lost, and goes on after a restart', async () => {
    const { net, producer } = setUp(() => answers.status(404))
    producer.append(1)
    await expect(producer.close()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(producer.close()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(net.requests.every(({ headers }) => headers.get('stream-closed') === null)).toBe(true)
    net.become(server())
    await producer.restart()
    producer.append(2)
    await producer.close()
    expect(net.bodies.slice(-2)).toEqual(['[2]', ''])
    expect(net.numbers.slice(-2)).toEqual(['1/0', '1/1'])
  })

  it('refuses a last message that the stream can not hold', async () => {
    const { net, producer } = setUp(server(), { handle: { contentType: 'text/plain' } })
    await expect(producer.close({ a: 1 })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    producer.append('still open')
    await producer.flush()
    expect(net.bodies).toEqual(['still open'])
  })
})

describe('detach', () => {
  it('(C-147) stores what waits, leaves the stream open, and ends the producer', async () => {
    const { net, producer } = setUp(server())
    producer.append(1)
    await producer.detach()
    await producer.detach()
    expect(net.bodies).toEqual(['[1]'])
    expect(net.requests[0]?.headers.get('stream-closed')).toBeNull()
    expect(() => producer.append(2)).toThrow(/detached/)
    await expect(producer.close()).rejects.toMatchObject({ code: 'ALREADY_CLOSED' })
    await expect(producer.restart()).rejects.toMatchObject({ code: 'ALREADY_CLOSED' })
  })

  it('(C-147) does not reject: errors go to onError', async () => {
    const { producer, errors } = setUp(() => answers.status(404))
    producer.append(1)
    await producer.detach()
    expect(errors).toMatchObject([{ code: 'NOT_FOUND' }])
  })
})

describe('an abort', () => {
  it('(C-148) drops what waits, ends requests, and reports once', async () => {
    const controller = new AbortController()
    const { net, producer, errors } = setUp(() => undefined, { ...each, signal: controller.signal })
    for (const n of [1, 2]) producer.append(n)
    const flushed = rejection(producer.flush())
    await net.arrived(2)
    controller.abort()
    expect(net.requests.map(({ signal }) => signal?.aborted)).toEqual([true, true])
    expect(errors).toMatchObject([{ code: 'ALREADY_CLOSED' }])
    expect(undeliveredMessages(errors[0])).toMatchObject({ firstIndex: 0, count: 2, mayBeStored: 2 })
    expect(await flushed).toMatchObject({ code: 'ALREADY_CLOSED' })
    expect(() => producer.append(3)).toThrow(/aborted/)
    await quiet()
    expect(errors).toHaveLength(1)
  })

  it('(C-148) names the messages of the open batch', () => {
    const controller = new AbortController()
    const { producer, errors } = setUp(server(), { signal: controller.signal, lingerMs: 60_000 })
    for (const n of [1, 2]) producer.append(n)
    controller.abort()
    expect(undeliveredMessages(errors[0])).toMatchObject({ firstIndex: 0, count: 2, mayBeStored: 0 })
  })

  it('(C-148) with nothing to drop is no error, also before the start and through the handle', async () => {
    const controller = new AbortController()
    const { errors, producer } = setUp(server(), { handle: { signal: controller.signal } })
    controller.abort()
    expect(errors).toEqual([])
    expect(() => producer.append(1)).toThrow(/aborted/)
    const late = setUp(server(), { signal: AbortSignal.abort() })
    expect(() => late.producer.append(1)).toThrow(/aborted/)
    await expect(late.producer.close()).rejects.toMatchObject({ code: 'ALREADY_CLOSED' })
  })

  it('wakes a producer that waits for its next attempt', async () => {
    const controller = new AbortController()
    const backoffOptions = { initialDelay: 60_000, maxDelay: 60_000 }
    const { net, producer } = setUp(() => answers.status(503), {
      signal: controller.signal,
      handle: { backoffOptions },
    })
    producer.append(1)
    const flushed = rejection(producer.flush())
    await net.arrived(1)
    await quiet()
    controller.abort()
    expect(await flushed).toMatchObject({ code: 'ALREADY_CLOSED' })
    expect(net.requests).toHaveLength(1)
  })
})

describe('restart', () => {
  it('begins a new epoch after what was appended before', async () => {
    const { net, producer } = setUp(server(), each)
    producer.append(1)
    const restarted = producer.restart()
    producer.append(2)
    await restarted
    producer.append(3)
    await producer.flush()
    expect(net.numbers).toEqual(['0/0', '0/1', '1/0'])
  })

  it('keeps an error that no flush has told', async () => {
    const { net, producer } = setUp(() => answers.status(404))
    producer.append(1)
    await producer.restart()
    net.become(server())
    producer.append(2)
    await expect(producer.flush()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await producer.flush()
    expect(net.bodies).toEqual(['[1]', '[2]'])
  })
})

describe('back-pressure', () => {
  it('append says when much is waiting, and ready when there is room again', async () => {
    const { net, producer } = setUp(() => undefined, small)
    expect([1, 2, 3, 4].map((n) => producer.append(n))).toEqual([true, true, true, true])
    expect(producer.append(5)).toBe(false)
    let isReady = false
    const ready = producer.ready.then(() => {
      isReady = true
    })
    await net.arrived(1)
    await quiet()
    expect(isReady).toBe(false)
    net.become(() => answers.ok())
    net.requests[0]?.respond(answers.ok())
    await ready
    await producer.flush()
    expect(producer.bufferedBytes).toBe(0)
    await producer.ready
  })

  it('append refuses what does not fit, and goes on when it does', async () => {
    const { net, producer } = setUp(() => undefined, small)
    for (let n = 1; n <= 8; n++) producer.append(n)
    expect(() => producer.append(9)).toThrow(expect.objectContaining({ code: 'BUFFER_FULL' }))
    await net.arrived(1)
    net.become(() => answers.ok())
    net.requests[0]?.respond(answers.ok())
    await producer.ready
    producer.append(9)
    await producer.flush()
    expect(net.bodies).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `[${n}]`))
  })

  it('ready resolves, too, when what was waiting is given up', async () => {
    const { producer } = setUp(() => answers.status(404), small)
    for (let n = 1; n <= 5; n++) producer.append(n)
    await producer.ready
    expect(producer.bufferedBytes).toBe(0)
  })
})

describe('counters', () => {
  it('(C-150) the offset moves forward only, and duplicates do not touch it', async () => {
    const offsets = ['0_5', '0_3', '', '0_7']
    const { producer } = setUp((_, index) => {
      const offset = offsets[index]
      return offset === undefined ? answers.repeat(9) : answers.ok(offset)
    }, each)
    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    expect(producer.lastSuccessfulOffset).toBeUndefined()
    const seen: unknown[] = []
    for (let n = 0; n < 5; n++) {
      producer.append(n)
      await producer.flush()
      seen.push(producer.lastSuccessfulOffset)
    }
    expect(seen).toEqual(['0_5', '0_5', '0_5', '0_7', '0_7'])
  })

  it('(C-150) nothing is left of ten thousand batches', async () => {
    const { net, producer } = setUp(() => answers.ok(), each)
    for (let round = 0; round < 10; round++) {
      for (let n = 0; n < 1000; n++) producer.append(n)
      await producer.flush()
      net.requests.length = 0
    }
    expect(producer.nextSeq).toBe(10_000)
    expect([producer.inFlightCount, producer.pendingCount, producer.bufferedBytes]).toEqual([0, 0, 0])
  }, 60_000)
})
