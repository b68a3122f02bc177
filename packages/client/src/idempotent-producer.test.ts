import { afterEach, describe, expect, it, vi } from 'vitest'
import { DurableStream } from './durable-stream.ts'
import { SequenceGapError, StaleEpochError, StreamClosedError } from './errors.ts'
import { IdempotentProducer } from './idempotent-producer.ts'
import type { IdempotentProducerOptions } from './producer-options.ts'
import { each, rejection, server, setUp, url } from './producer-setup.fixture.ts'
import { undeliveredMessages } from './undelivered.ts'
import { answers, quiet, type Script } from './write-script.fixture.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

describe('options', () => {
  it.each<[string, string, IdempotentProducerOptions]>([
    ['epoch', 'p', { epoch: -1 }],
    ['epoch', 'p', { epoch: 1.5 }],
    ['epoch', 'p', { epoch: Number.NaN }],
    ['maxBatchBytes', 'p', { maxBatchBytes: 0 }],
    ['maxInFlight', 'p', { maxInFlight: 0 }],
    ['lingerMs', 'p', { lingerMs: -1 }],
    ['maxBufferedBytes', 'p', { maxBufferedBytes: 0 }],
    ['producerId', '', {}],
  ])('(C-130) refuses %s (%s, %j)', (name, id, options) => {
    const stream = new DurableStream({ url })
    expect(() => new IdempotentProducer(stream, id, options)).toThrow(name)
  })

  it('(C-133) headers: handle, then producer, then protocol, in any letter case, for each request', async () => {
    let calls = 0
    const { net, producer } = setUp(server(), {
      ...each,
      handle: { headers: { 'X-Tenant': 'handle', 'X-Kept': 'kept', 'Content-Type': 'text/evil' } },
      headers: { 'x-tenant': 'producer', 'producer-id': 'forged', 'x-call': () => String(++calls) },
    })
    producer.append(1)
    await producer.flush()
    producer.append(2)
    await producer.flush()
    const [first, second] = net.requests.map(({ headers }) => Object.fromEntries(headers))
    expect(first).toMatchObject({
      'x-tenant': 'producer',
      'x-kept': 'kept',
      'content-type': 'application/json',
      'producer-id': 'p',
      'x-call': '1',
    })
    expect(second).toMatchObject({ 'x-call': '2' })
  })

  it("(C-134) makes requests with the handle's params, fetch and back-off", async () => {
    const onFailedAttempt = vi.fn()
    const { net, producer, errors } = setUp(() => answers.status(503), {
      handle: { params: { key: 'a' }, backoffOptions: { initialDelay: 0, maxRetries: 2, onFailedAttempt } },
    })
    producer.append(1)
    await expect(producer.flush()).rejects.toMatchObject({ status: 503 })
    expect(net.requests.map((request) => request.url)).toEqual(Array(3).fill(`${url}?key=a`))
    expect(onFailedAttempt).toHaveBeenCalledTimes(3)
    expect(errors).toHaveLength(1)
  })

  it('gives a batch up when a header function throws, without a request', async () => {
    const fail = (): string => {
      throw new Error('no token')
    }
    const { net, producer } = setUp(server(), { headers: { authorization: fail } })
    producer.append(1)
    await expect(producer.flush()).rejects.toThrow(/no token.*message 0 was not delivered/)
    expect(net.requests).toEqual([])
  })
})

describe('batches', () => {
  it('(C-131) are sealed by size and by flush, one number each', async () => {
    const { net, producer } = setUp(server(), { maxBatchBytes: 4, lingerMs: 60_000 })
    for (const n of [11, 22, 33]) expect(producer.append(n)).toBe(true)
    expect(producer.pendingCount).toBe(1)
    expect(producer.nextSeq).toBe(1)
    await producer.flush()
    expect(net.bodies).toEqual(['[11,22]', '[33]'])
    expect(net.numbers).toEqual(['0/0', '0/1'])
  })

  it('(C-131) are sealed when they linger', async () => {
    const { net, producer } = setUp(server(), { lingerMs: 1 })
    producer.append(1)
    producer.append(2)
    await net.arrived(1)
    expect(net.bodies).toEqual(['[1,2]'])
    await producer.flush()
  })

  it('(C-132) keep an array one message, strings verbatim, and count bytes, not characters', async () => {
    const { net, producer } = setUp(server(), { maxBatchBytes: 6, lingerMs: 60_000 })
    producer.append([1])
    producer.append('"€"')
    producer.append('{}')
    await producer.flush()
    expect(net.bodies).toEqual(['[[1],"€"]', '[{}]'])
  })

  it('(C-132) of a byte stream are joined', async () => {
    const { net, producer } = setUp(server(), { handle: { contentType: 'application/octet-stream' } })
    producer.append('a')
    producer.append(new TextEncoder().encode('b'))
    await producer.flush()
    expect(net.bodies).toEqual(['ab'])
    expect(() => producer.append({ a: 1 })).toThrow(/application\/json/)
    expect(() => producer.append('')).toThrow(/empty/)
  })
})

describe('pipelining', () => {
  it('(C-135) has maxInFlight batches under way and writes all in order, however they arrive', async () => {
    const judge = server()
    const { net, producer } = setUp(() => undefined, each)
    for (let n = 0; n < 20; n++) producer.append(n)
    expect([producer.inFlightCount, producer.nextSeq]).toEqual([20, 20])
    const written: string[] = []
    const flushed = producer.flush()
    await net.arrived(5)
    await quiet()
    expect(net.requests).toHaveLength(5)
    let answered = 0
    while (written.length < 20) {
      // The latest of those under way arrives first.
      for (const [at, request] of [...net.requests.entries()].slice(answered).reverse()) {
        const answer = judge(request, at)
        if (answer instanceof Response && answer.ok) written.push(request.body)
        if (answer instanceof Response) request.respond(answer)
      }
      answered = net.requests.length
      await quiet()
    }
    await flushed
    expect(written).toEqual(Array.from({ length: 20 }, (_, n) => `[${n}]`))
  })

  it('(C-136) a gap that the predecessors can not fill is an error', async () => {
    const { producer } = setUp((_, index) => (index === 0 ? answers.ok() : answers.gap(9, 1)), each)
    producer.append(1)
    await producer.flush()
    producer.append(2)
    const error = await rejection(producer.flush())
    expect(error).toBeInstanceOf(SequenceGapError)
    expect(error).toMatchObject({ expectedSeq: 9, receivedSeq: 1 })
  })

  it.each([0, 1])('(C-137) a closed stream is an error after one request, at seq %i', async (seq) => {
    const { net, producer } = setUp((_, index) => (index < seq ? answers.ok() : answers.closed('0_9')), each)
    for (let n = 0; n <= seq; n++) {
      await producer.flush()
      producer.append(n)
    }
    const error = await rejection(producer.flush())
    expect(error).toBeInstanceOf(StreamClosedError)
    expect(error).toMatchObject({ finalOffset: '0_9', code: 'STREAM_CLOSED' })
    expect(net.requests).toHaveLength(seq + 1)
  })

  it.each([0, 16])(
    '(C-149) a stream that was made anew is a gap after one request (%i batches on)',
    async (more) => {
      const { net, producer } = setUp(server(), each)
      for (let n = 0; n <= more; n++) producer.append(n)
      await producer.flush()
      const before = net.requests.length
      net.become((request) => answers.gap(0, Number(request.headers.get('producer-seq'))))
      producer.append('"lost"')
      await expect(producer.flush()).rejects.toBeInstanceOf(SequenceGapError)
      expect(net.requests).toHaveLength(before + 1)
      net.become(server())
      await producer.restart()
      producer.append('"found"')
      await producer.flush()
      expect(net.bodies.at(-1)).toBe('["found"]')
      expect(net.numbers.at(-1)).toBe('1/0')
    },
  )
})

describe('fencing', () => {
  it('(C-138) without autoClaim is a StaleEpochError', async () => {
    const { producer } = setUp(() => answers.fenced(7))
    producer.append(1)
    const error = await rejection(producer.flush())
    expect(error).toBeInstanceOf(StaleEpochError)
    expect(error).toMatchObject({ currentEpoch: 7 })
  })

  it('(C-138, C-139) with autoClaim claims the next epoch, one request at a time until it has it', async () => {
    const { net, producer } = setUp(() => undefined, { ...each, autoClaim: true })
    for (const n of [1, 2, 3]) producer.append(n)
    let isFlushed = false
    const flushed = producer.flush().then(() => {
      isFlushed = true
    })
    await net.arrived(1)
    await quiet()
    expect(producer.nextSeq).toBe(1)
    net.requests[0]?.respond(answers.fenced(7))
    await net.arrived(2)
    await quiet()
    expect(net.numbers).toEqual(['0/0', '8/0'])
    expect(isFlushed).toBe(false)
    net.become(() => answers.ok())
    net.requests[1]?.respond(answers.ok())
    await flushed
    expect(net.numbers).toEqual(['0/0', '8/0', '8/1', '8/2'])
    expect(net.bodies).toEqual(['[1]', '[1]', '[2]', '[3]'])
    expect([producer.epoch, producer.nextSeq]).toEqual([8, 3])
  })

  it('(C-138) a 403 without an epoch is a refusal', async () => {
    const { net, producer } = setUp(() => answers.status(403), { autoClaim: true })
    producer.append(1)
    await expect(producer.flush()).rejects.toMatchObject({ code: 'FORBIDDEN', status: 403 })
    expect(net.requests).toHaveLength(1)
  })

  it('(C-140) loses nothing of six batches when a rival takes over in between', async () => {
    const judge = server()
    const { net, producer } = setUp(judge, { ...each, autoClaim: true })
    producer.append(0)
    await producer.flush()
    const fence: Script = (request, index) => {
      if (request.headers.get('producer-epoch') === '0') return answers.fenced(5)
      return judge(request, index)
    }
    net.become(fence)
    for (let n = 1; n <= 6; n++) producer.append(n)
    await producer.flush()
    const stored = net.requests.filter(({ headers }) => headers.get('producer-epoch') === '6')
    expect(stored.map(({ body }) => body)).toEqual([1, 2, 3, 4, 5, 6].map((n) => `[${n}]`))
    expect(net.numbers.slice(-6)).toEqual([0, 1, 2, 3, 4, 5].map((seq) => `6/${seq}`))
  })

  it('(C-140) ends a duel of two claimers with an error', async () => {
    const { net, producer } = setUp(({ headers }) => answers.fenced(Number(headers.get('producer-epoch'))), {
      autoClaim: true,
    })
    producer.append(1)
    await expect(producer.flush()).rejects.toBeInstanceOf(StaleEpochError)
    expect(net.requests).toHaveLength(6)
  })
})

describe('lost requests and answers', () => {
  const troubles: readonly (readonly [string, Response | Error])[] = [
    ['a network error', new TypeError('fetch failed')],
    ['503', answers.status(503)],
    ['429', answers.status(429)],
  ]

  it.each(troubles)('(C-141) repeats a batch under its number after %s', async (_, trouble) => {
    const { net, producer } = setUp(server((__, index) => (index === 0 ? trouble : undefined)))
    producer.append(1)
    await producer.flush()
    expect(net.numbers).toEqual(['0/0', '0/0'])
    expect(net.bodies).toEqual(['[1]', '[1]'])
  })

  it('(C-141) takes a repeat for stored when the answer was lost', async () => {
    const judge = server()
    const { net, producer } = setUp(
      (request, index) => {
        const answer = judge(request, index)
        return index === 0 ? new TypeError('fetch failed') : answer
      },
      { autoClaim: true },
    )
    producer.append(1)
    await producer.flush()
    expect(net.numbers).toEqual(['0/0', '0/0'])
    expect([producer.duplicateCount, producer.epoch]).toEqual([1, 0])
  })

  it('repeats a batch that is not answered in time', async () => {
    const judge = server()
    const { net, producer } = setUp((request, index) => (index === 0 ? undefined : judge(request, index)), {
      requestTimeoutMs: 20,
    })
    producer.append(1)
    await producer.flush()
    expect(net.requests[0]?.signal?.aborted).toBe(true)
    expect(net.numbers).toEqual(['0/0', '0/0'])
  })

  it('(C-142) stores the messages of a new process with the same id and epoch', async () => {
    const judge = server()
    const older = setUp(judge, { ...each, autoClaim: true })
    for (const n of [1, 2]) older.producer.append(n)
    await older.producer.flush()
    const { net, producer } = setUp(judge, { ...each, autoClaim: true })
    for (const n of [3, 4]) producer.append(n)
    await producer.flush()
    expect(net.numbers).toEqual(['0/0', '1/0', '1/1'])
    expect(net.bodies).toEqual(['[3]', '[3]', '[4]'])
  })

  it('(C-143) without autoClaim counts them as duplicates, and warns once', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { producer } = setUp(() => answers.repeat(4), each)
    for (const n of [1, 2]) producer.append(n)
    await producer.flush()
    expect(producer.duplicateCount).toBe(2)
    expect(producer.lastSuccessfulOffset).toBeUndefined()
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]?.[0]).toContain('autoClaim')
  })

  it('(C-143) warnOnDuplicates: false is for jobs that send the same again on purpose', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { producer } = setUp(() => answers.repeat(4), { ...each, warnOnDuplicates: false })
    producer.append(1)
    await producer.flush()
    expect([producer.duplicateCount, warn.mock.calls]).toEqual([1, []])
  })
})

describe('what can not be delivered', () => {
  it('(C-144) rejects the flush with the first error since the last one, and names the messages', async () => {
    const { net, producer, errors } = setUp(
      server((_, index) => (index === 2 ? answers.status(400) : undefined)),
      {
        ...each,
        maxInFlight: 1,
      },
    )
    for (let n = 0; n < 5; n++) producer.append({ n })
    const error = await rejection(producer.flush())
    expect(error).toMatchObject({ code: 'BAD_REQUEST', status: 400 })
    expect(error).toMatchObject({
      message: expect.stringContaining('3 messages, 2 to 4, were not delivered'),
    })
    expect(undeliveredMessages(error)).toEqual({
      firstIndex: 2,
      lastIndex: 4,
      count: 3,
      mayBeStored: 0,
      preview: ['{"n":2}'],
    })
    expect(errors.map((one) => undeliveredMessages(one)?.firstIndex)).toEqual([2, 3, 4])
    await producer.flush()
    expect(net.bodies).toEqual(['[{"n":0}]', '[{"n":1}]', '[{"n":2}]'])
  })

  it('(C-144) rejects every flush that waits for it', async () => {
    const { producer } = setUp(() => answers.status(404))
    producer.append(1)
    const outcomes = await Promise.all([rejection(producer.flush()), rejection(producer.flush())])
    expect(outcomes).toEqual([1, 2].map(() => expect.objectContaining({ code: 'NOT_FOUND' })))
  })

  it('(C-144) says how many may be stored all the same', async () => {
    const { producer } = setUp(() => new TypeError('fetch failed'), {
      ...each,
      handle: { backoffOptions: { maxRetries: 1, initialDelay: 0 } },
    })
    for (const n of [1, 2, 3]) producer.append(n)
    const error = await rejection(producer.flush())
    expect(error).toBeInstanceOf(TypeError)
    expect(undeliveredMessages(error)).toMatchObject({ firstIndex: 0, count: 3, mayBeStored: 3 })
  })

  it('(C-144) survives an onError that throws', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const { net, producer } = setUp(() => answers.status(404), {
      onError: () => {
        throw new Error('handler')
      },
    })
    producer.append(1)
    await expect(producer.flush()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(log).toHaveBeenCalledTimes(1)
    net.become(server())
    await producer.restart()
    producer.append(2)
    await producer.flush()
    expect(net.bodies.at(-1)).toBe('[2]')
  })

  it('(C-145) fails later batches, too, until a restart', async () => {
    const { net, producer } = setUp(() => answers.status(404), each)
    producer.append(1)
    await rejection(producer.flush())
    producer.append(2)
    await expect(producer.flush()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(net.requests).toHaveLength(1)
    net.become(server())
    await producer.restart()
    expect([producer.epoch, producer.nextSeq]).toEqual([1, 0])
    producer.append(3)
    await producer.flush()
    expect(net.bodies).toEqual(['[1]', '[3]'])
  })
})
