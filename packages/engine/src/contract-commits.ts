/** The storage contract on commits: what they keep, that they are whole, in order, and guarded by versions. */
import { type ForkOrigin, ProducerTable } from '@millrace/protocol'
import {
  type ContractGroup,
  ContractStream,
  commitAll,
  isSameBytes,
  loadOne,
  NOW,
  oneByOne,
  pathOf,
  plainOf,
  readBytes,
  thrownBy,
} from './contract-stream.ts'
import type { StreamStorage } from './storage.ts'

/** Registers the cases. */
export function commitCases(group: ContractGroup): void {
  stateCases(group)
  fieldCases(group)
  originCases(group)
  conflictCases(group)
  wholeCases(group)
  batchCases(group)
  purgeCases(group)
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

function stateCases({ suite: { expect }, check }: ContractGroup): void {
  check('has nothing at a path that was never written', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create())
    const stored = await storage.load([pathOf('b'), a.path, pathOf('a/b'), a.path])
    expect(stored.map((one) => one?.state.path)).toEqual([undefined, a.path, undefined, a.path])
    expect(await storage.load([])).toEqual([])
  })

  check('keeps each state, and counts versions from 1', async (storage) => {
    const a = new ContractStream('a/b-c.d~e')
    const steps = [
      () => a.create({ contentType: 'text/plain; charset=utf-8', mediaType: 'text/plain' }),
      () => a.write('one', NOW + 1),
      () => a.append({ bytes: text('two'), atMs: NOW + 2 }),
      () => a.append({ closes: true, atMs: NOW + 3 }),
    ]
    for (const [at, step] of steps.entries()) {
      await commitAll(storage, step())
      expect(plainOf(await loadOne(storage, a.path))).toEqual(
        plainOf(a.state && { state: a.state, version: at + 1 }),
      )
    }
  })

  check('keeps a stream that is created with bytes and closed at once', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({}, { bytes: text('all there is'), closes: true }))
    expect(await loadOne(storage, a.path)).toMatchObject({ version: 1, state: { closed: true, tail: 12 } })
    expect(isSameBytes(await readBytes(storage, a.id, 0, 12), text('all there is'))).toBe(true)
  })

  check('keeps apart what it has handed out and what is stored', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create(), a.write('one'))
    const before = await loadOne(storage, a.path)
    const seen = plainOf(before)
    await commitAll(storage, a.write('two'), a.append({ closes: true }))
    expect(plainOf(before)).toEqual(seen)
  })
}

function fieldCases({ suite: { expect }, check }: ContractGroup): void {
  check('keeps producers, Stream-Seq and who closed the stream', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(
      storage,
      a.create({ contentType: 'application/json' }),
      a.append({
        bytes: text('1,\n'),
        producer: { id: 'p', epoch: 0, seq: 0 },
        streamSeq: '\u00ff0',
        atMs: NOW + 5,
      }),
      a.append({
        bytes: text('2,\n3,\n'),
        messages: 2,
        producer: { id: 'p', epoch: 3, seq: 0 },
        atMs: NOW + 6,
      }),
      a.append({
        closes: true,
        producer: { id: 'é"\\ \u00a0', epoch: 9_007_199_254_740_991, seq: 0 },
        atMs: NOW + 7,
      }),
    )
    expect(plainOf(await loadOne(storage, a.path))).toEqual(
      plainOf(a.state && { state: a.state, version: 4 }),
    )
  })

  check('keeps thousands of producers', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create())
    const changes = Array.from({ length: 3000 }, (_, at) =>
      a.append({
        bytes: text('x'),
        producer: { id: `producer-${at}`, epoch: at, seq: at * 2 },
        atMs: NOW + at,
      }),
    )
    await commitAll(storage, ...changes)
    const stored = await loadOne(storage, a.path)
    expect((stored?.state.producers ?? ProducerTable.empty).size).toBe(3000)
    expect(plainOf(stored)).toEqual(plainOf(a.state && { state: a.state, version: 3001 }))
  })
}

function originCases({ suite: { expect }, check }: ContractGroup): void {
  check('keeps every kind of expiry', async (storage) => {
    const at = { kind: 'at', instantMs: NOW + 0.5e9, text: '2026-01-06T18:53:20+00:00' } as const
    const streams = [{ kind: 'never' } as const, { kind: 'ttl', ttlSeconds: 0 } as const, at].map(
      (expiry) => {
        const stream = new ContractStream(expiry.kind)
        return { stream, change: stream.create({ expiry }) }
      },
    )
    await commitAll(storage, ...streams.map(({ change }) => change))
    for (const { stream } of streams) {
      expect(await loadOne(storage, stream.path)).toEqual({ state: stream.state, version: 1 })
    }
  })

  check('keeps where a fork comes from, and the references of its source', async (storage) => {
    const source = new ContractStream('source')
    const fork = new ContractStream('fork')
    await commitAll(storage, source.create({}, { bytes: text('0123456789') }))
    await storage.commit([
      { changes: [fork.create({ fork: originOf(source, 4, 3) }), source.note('referenced')] },
    ])
    await commitAll(storage, fork.write('own'))
    expect(await loadOne(storage, fork.path)).toEqual({ state: fork.state, version: 2 })
    expect(await loadOne(storage, source.path)).toMatchObject({ state: { refCount: 1 }, version: 2 })
    await storage.commit([{ changes: [fork.note('purged'), source.note('released')] }])
    expect(await loadOne(storage, source.path)).toMatchObject({ state: { refCount: 0 }, version: 3 })
  })

  check('keeps the bytes of a soft-deleted stream', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(
      storage,
      a.create({}, { bytes: text('kept') }),
      a.note('referenced'),
      a.note('soft-deleted'),
    )
    expect(await loadOne(storage, a.path)).toEqual({ state: a.state, version: 3 })
    expect(isSameBytes(await readBytes(storage, a.id, 0, 4), text('kept'))).toBe(true)
  })
}

/** A fork of a source that is none itself. */
export function originOf(source: ContractStream, forkPosition: number, subOffset = 0): ForkOrigin {
  const ownFrom = forkPosition + subOffset
  return {
    sourcePath: source.path,
    sourceId: source.id,
    forkPosition,
    subOffset,
    ownFrom,
    inherited: ownFrom === 0 ? [] : [{ id: source.id, from: 0, to: ownFrom }],
    ancestors: [source.path],
    expiryInherited: true,
    cuts: [],
  }
}

function conflictCases({ suite: { expect }, check }: ContractGroup): void {
  check('a version that does not match changes nothing', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({ expiry: { kind: 'ttl', ttlSeconds: 60 } }))
    const late = a.copy()
    await commitAll(storage, a.write('first'))
    const before = await everythingOf(storage, a)
    const attempts = [
      late.copy().write('late', NOW + 9),
      late.copy().append({ closes: true }),
      late.copy().note('soft-deleted'),
      late.copy().note('purged'),
      new ContractStream('a', 'other').create(),
    ]
    for (const change of attempts) {
      expect(await storage.commit([{ changes: [change] }])).toEqual(['conflict'])
      expect(await everythingOf(storage, a)).toEqual(before)
    }
    expect(await storage.commit(oneByOne(a.write('second')))).toEqual(['durable'])
  })

  check('a change of a stream that is not there conflicts', async (storage) => {
    const a = new ContractStream('a')
    a.create()
    const next = a.write('x')
    expect(await storage.commit([{ changes: [next] }])).toEqual(['conflict'])
    expect(await loadOne(storage, a.path)).toBe(undefined)
  })
}

function wholeCases({ suite: { expect }, check }: ContractGroup): void {
  check('a commit of several streams lands whole or not at all', async (storage) => {
    const [a, b, c] = [new ContractStream('a'), new ContractStream('b'), new ContractStream('c')]
    await commitAll(storage, a.create(), b.create())
    const late = b.copy()
    await commitAll(storage, b.write('first'))
    const before = [await everythingOf(storage, a), await everythingOf(storage, b)]
    for (const order of [
      [0, 1, 2],
      [1, 0, 2],
      [2, 0, 1],
      [0, 2, 1],
    ]) {
      const changes = [a.copy().write('x'), late.copy().write('y'), c.copy().create({}, { bytes: text('z') })]
      const ordered = order.flatMap((at) => changes[at] ?? [])
      expect(await storage.commit([{ changes: ordered }])).toEqual(['conflict'])
      expect([await everythingOf(storage, a), await everythingOf(storage, b)]).toEqual(before)
      expect(await loadOne(storage, c.path)).toBe(undefined)
    }
    const whole = [a.write('x'), b.write('y'), c.create({}, { bytes: text('z') })]
    expect(await storage.commit([{ changes: whole }])).toEqual(['durable'])
    expect(await everythingOf(storage, c)).toMatchObject({ bytes: 'z' })
  })

  check('a change that names another incarnation conflicts', async (storage) => {
    const old = new ContractStream('a', 'old')
    await commitAll(storage, old.create())
    const late = old.copy()
    const again = new ContractStream('a', 'new')
    await commitAll(storage, old.note('purged'), again.create())
    expect(await storage.commit([{ changes: [late.write('for the old one')] }])).toEqual(['conflict'])
    expect(await everythingOf(storage, again)).toMatchObject({ bytes: '', stored: { version: 1 } })
  })
}

function batchCases({ suite: { expect }, check }: ContractGroup): void {
  check('a batch applies in order, each commit on top of those before it', async (storage) => {
    const [a, b] = [new ContractStream('a'), new ContractStream('b')]
    const batch = [
      ...oneByOne(a.create(), a.write('1')),
      { changes: [b.create({}, { bytes: text('b') }), a.write('2')] },
      ...oneByOne(a.write('3'), b.note('purged'), a.append({ closes: true })),
    ]
    expect(await storage.commit(batch)).toEqual(batch.map(() => 'durable'))
    expect(await everythingOf(storage, a)).toMatchObject({ bytes: '123', stored: { version: 5 } })
    expect(await loadOne(storage, b.path)).toBe(undefined)
    expect(await storage.commit([])).toEqual([])
  })

  check('a batch goes on after a conflict', async (storage) => {
    const [a, b] = [new ContractStream('a'), new ContractStream('b')]
    await commitAll(storage, a.create(), b.create())
    const late = a.copy()
    const batch = oneByOne(b.write('1'), a.write('x'), late.write('y'), b.write('2'))
    expect(await storage.commit(batch)).toEqual(['durable', 'durable', 'conflict', 'durable'])
    expect(await everythingOf(storage, a)).toMatchObject({ bytes: 'x' })
    expect(await everythingOf(storage, b)).toMatchObject({ bytes: '12' })
  })

  check(
    'what rests on a commit that conflicted conflicts too, even where its version happens to match',
    async (storage) => {
      const [a, b, c] = [new ContractStream('a'), new ContractStream('b'), new ContractStream('c')]
      await commitAll(storage, a.create(), b.create(), c.create())
      const late = a.copy()
      await commitAll(storage, a.write('another writer was here'))
      const batch = [
        ...oneByOne(late.write('1')),
        { changes: [b.write('with 2'), late.write('2')] },
        ...oneByOne(late.append({ closes: true }), c.write('3'), b.write('after 2')),
      ]
      const results = ['conflict', 'conflict', 'conflict', 'durable', 'conflict']
      expect(await storage.commit(batch)).toEqual(results)
      expect(await everythingOf(storage, a)).toMatchObject({
        bytes: 'another writer was here',
        stored: { version: 2 },
      })
      expect(await everythingOf(storage, b)).toMatchObject({ bytes: '', stored: { version: 1 } })
      expect(await everythingOf(storage, c)).toMatchObject({ bytes: '3' })
    },
  )

  check('commits may be under way together, and stay in order', async (storage) => {
    const a = new ContractStream('a')
    const calls = [oneByOne(a.create()), oneByOne(a.write('1'), a.write('2')), oneByOne(a.write('3'))]
    const results = await Promise.all(calls.map((batch) => storage.commit(batch)))
    expect(results).toEqual([['durable'], ['durable', 'durable'], ['durable']])
    expect(await everythingOf(storage, a)).toMatchObject({ bytes: '123' })
  })
}

function purgeCases({ suite: { expect }, check }: ContractGroup): void {
  check('a purged stream is gone', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(
      storage,
      a.create({ expiry: { kind: 'ttl', ttlSeconds: 1 } }),
      a.write('gone'),
      a.note('purged'),
    )
    expect(await loadOne(storage, a.path)).toBe(undefined)
    expect(await thrownBy(() => storage.read({ id: a.id, from: 0, to: 4 }))).toMatchObject({
      code: 'removed',
    })
    expect(await thrownBy(() => storage.unitAt(a.id, 0))).toMatchObject({ code: 'removed' })
    expect(await storage.list('', undefined, 10)).toEqual([])
    expect(await storage.due(NOW + 1e12, 10)).toEqual([])
  })

  check('a stream made anew on the same path has nothing of the old one', async (storage) => {
    const old = new ContractStream('a', 'old')
    const again = new ContractStream('a', 'new')
    const producer = { id: 'p', epoch: 1, seq: 0 }
    await commitAll(
      storage,
      old.create({ expiry: { kind: 'ttl', ttlSeconds: 1 } }),
      old.append({ bytes: text('old bytes'), producer, streamSeq: 'z' }),
      old.note('purged'),
      again.create({ contentType: 'text/plain' }),
      again.write('new'),
    )
    expect(await loadOne(storage, again.path)).toEqual({ state: again.state, version: 2 })
    expect(await everythingOf(storage, again)).toMatchObject({ bytes: 'new', due: [] })
    expect(await thrownBy(() => storage.read({ id: old.id, from: 0, to: 3 }))).toMatchObject({
      code: 'removed',
    })
  })
}

/** All that a store says about one stream, to see that none of it changed. */
async function everythingOf(storage: StreamStorage, stream: ContractStream): Promise<unknown> {
  const stored = await loadOne(storage, stream.path)
  const tail = stored?.state.tail ?? 0
  return {
    stored: plainOf(stored),
    bytes: new TextDecoder().decode(await readBytes(storage, stream.id, 0, tail)),
    listed: (await storage.list(stream.path, undefined, 10)).filter(({ path }) => path === stream.path),
    due: (await storage.due(NOW + 1e12, 10)).filter(({ path }) => path === stream.path),
  }
}
