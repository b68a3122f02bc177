/** The storage contract on finding streams: by path, and by when they have to be looked at. */
import type { Expiry, StreamPath } from '@millrace/protocol'
import {
  type ContractGroup,
  ContractStream,
  commitAll,
  loadOne,
  NOW,
  oneByOne,
  pathOf,
} from './contract-stream.ts'
import { countUsage } from './quota.ts'
import type { StateChange, StreamStorage } from './storage.ts'

/** Registers the cases. */
export function listingCases(group: ContractGroup): void {
  listCases(group)
  dueCases(group)
  sizeCases(group)
}

async function listed(
  storage: StreamStorage,
  prefix: string,
  after?: StreamPath,
  limit = 100,
): Promise<string[]> {
  return (await storage.list(prefix, after, limit)).map(({ path }) => path)
}

async function dueAt(storage: StreamStorage, atMs: number, limit = 100): Promise<string[]> {
  return (await storage.due(atMs, limit)).map(({ path }) => path)
}

const ttl = (ttlSeconds: number): Expiry => ({ kind: 'ttl', ttlSeconds })

function listCases({ suite: { expect }, check }: ContractGroup): void {
  const names = ['~z', 'b', 'a/b/c', 'B', 'a-b', 'a/b', 'aa', '0', 'a', 'a.b', '_x', 'a%2Fb', 'a/c', 'a0']

  check('lists in bytewise order of the path, whole or by prefix', async (storage) => {
    await commitAll(storage, ...names.map((name) => new ContractStream(name).create()))
    const sorted = [...names].sort((a, b) => (a < b ? -1 : 1))
    expect(await listed(storage, '')).toEqual(sorted)
    for (const prefix of ['a', 'a/', 'a/b', 'b', 'zzz', 'a%', '~']) {
      expect(await listed(storage, prefix)).toEqual(sorted.filter((name) => name.startsWith(prefix)))
    }
  })

  check('goes on after a path, there or not, up to a limit', async (storage) => {
    await commitAll(storage, ...names.map((name) => new ContractStream(name).create()))
    const sorted = [...names].sort((a, b) => (a < b ? -1 : 1))
    const walked: string[] = []
    for (let page = await listed(storage, '', undefined, 3); page.length > 0; ) {
      walked.push(...page)
      page = await listed(storage, '', pathOf(page.at(-1) ?? ''), 3)
    }
    expect(walked).toEqual(sorted)
    expect(await listed(storage, 'a', pathOf('a/b0'))).toEqual(
      sorted.filter((name) => name.startsWith('a') && name > 'a/b0'),
    )
    expect(await listed(storage, 'a/', pathOf('b'))).toEqual([])
    expect(await listed(storage, 'b', pathOf('a'))).toEqual(['b'])
  })

  check('says what each stream is like now', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({ contentType: 'Text/Plain; charset="x"', mediaType: 'text/plain' }))
    await commitAll(storage, a.write('12345'))
    const line = { path: a.path, contentType: 'Text/Plain; charset="x"', tail: 5, ownBytes: 5, closed: false }
    expect(await storage.list('', undefined, 10)).toEqual([line])
    await commitAll(storage, a.append({ bytes: new Uint8Array(2), closes: true }))
    expect(await storage.list('', undefined, 10)).toEqual([{ ...line, tail: 7, ownBytes: 7, closed: true }])
  })

  check('leaves out what is deleted, softly or for good', async (storage) => {
    const [a, b, c] = [new ContractStream('a'), new ContractStream('b'), new ContractStream('c')]
    await commitAll(storage, a.create(), b.create(), c.create(), b.note('referenced'))
    await commitAll(storage, b.note('soft-deleted'), c.note('purged'))
    expect(await listed(storage, '')).toEqual(['a'])
  })

  check('counts what it lists, and the bytes of that', async (storage) => {
    const [a, b, c] = [new ContractStream('a'), new ContractStream('b'), new ContractStream('c')]
    expect(await countUsage(storage)).toEqual({ streams: 0, bytes: 0 })
    await commitAll(storage, a.create(), b.create(), c.create(), a.write('12345'), b.write('678'))
    expect(await countUsage(storage)).toEqual({ streams: 3, bytes: 8 })
    await commitAll(storage, b.note('referenced'), b.note('soft-deleted'), c.note('purged'), a.write('9'))
    expect(await countUsage(storage)).toEqual({ streams: 1, bytes: 6 })
    await commitAll(storage, b.note('purged'), new ContractStream('c', 'again').create())
    expect(await countUsage(storage)).toEqual({ streams: 2, bytes: 6 })
  })
}

function dueCases({ suite: { expect }, check }: ContractGroup): void {
  const seconds = [50, 3, 41, 7, 1000, 1, 12]

  async function createAll(storage: StreamStorage): Promise<void> {
    const changes = seconds.map((count) => new ContractStream(`s${count}`).create({ expiry: ttl(count) }))
    await commitAll(storage, ...changes, new ContractStream('never').create())
  }

  check('reports what is due, earliest first', async (storage) => {
    await createAll(storage)
    expect(await dueAt(storage, NOW)).toEqual([])
    expect(await dueAt(storage, NOW + 12_000)).toEqual(['s1', 's3', 's7', 's12'])
    expect(await dueAt(storage, NOW + 11_999)).toEqual(['s1', 's3', 's7'])
    expect(await storage.due(NOW + 1000, 10)).toEqual([{ path: 's1', dueAtMs: NOW + 1000 }])
    expect(await dueAt(storage, NOW + 1e9)).toEqual(['s1', 's3', 's7', 's12', 's41', 's50', 's1000'])
  })

  check('reports at most as many as asked for, and the same again until they change', async (storage) => {
    await createAll(storage)
    for (let round = 0; round < 3; round++) {
      expect(await dueAt(storage, NOW + 60_000, 2)).toEqual(['s1', 's3'])
      expect(await dueAt(storage, NOW + 60_000, 4)).toEqual(['s1', 's3', 's7', 's12'])
    }
  })

  check('follows what commits say', async (storage) => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new ContractStream(name))
    if (!a || !b || !c || !d) throw new Error('four streams')
    for (const stream of [a, b, c, d]) await commitAll(storage, stream.create({ expiry: ttl(5) }))
    await commitAll(storage, a.write('later', NOW + 3000), b.note('purged'))
    await commitAll(storage, c.note('referenced'), c.note('soft-deleted'))
    expect(await dueAt(storage, NOW + 5000)).toEqual(['d'])
    expect(await storage.due(NOW + 8000, 10)).toEqual([
      { path: 'd', dueAtMs: NOW + 5000 },
      { path: 'a', dueAtMs: NOW + 8000 },
    ])
    const again = new ContractStream('b', 'again')
    await commitAll(storage, again.create({ expiry: ttl(1) }), d.note('purged'))
    expect(await dueAt(storage, NOW + 8000)).toEqual(['b', 'a'])
  })
}

function sizeCases({ suite: { expect }, check }: ContractGroup): void {
  check(
    'holds 10,000 streams',
    async (storage) => {
      const streams = Array.from({ length: 10_000 }, (_, at) => new ContractStream(`many/${at % 100}/${at}`))
      const changes: StateChange[] = []
      for (const [at, stream] of streams.entries())
        changes.push(stream.create({ expiry: ttl(1 + (at % 1000)) }))
      for (let at = 0; at < changes.length; at += 1000) {
        const results = await storage.commit(oneByOne(...changes.slice(at, at + 1000)))
        expect(results.every((result) => result === 'durable')).toBe(true)
      }
      const paths = new Set<string>()
      for (let page = await listed(storage, 'many/', undefined, 1000); page.length > 0; ) {
        for (const path of page) paths.add(path)
        page = await listed(storage, 'many/', pathOf(page.at(-1) ?? ''), 1000)
      }
      expect(paths.size).toBe(10_000)
      expect((await listed(storage, 'many/42/', undefined, 1000)).length).toBe(100)
      expect((await storage.due(NOW + 10_000, 1000)).map(({ dueAtMs }) => dueAtMs)).toEqual(
        Array.from({ length: 100 }, (_, at) => NOW + 1000 * (1 + Math.floor(at / 10))),
      )
      const last = streams.at(-1)
      expect(await loadOne(storage, pathOf('many/99/9999'))).toMatchObject({
        state: { id: last?.id },
        version: 1,
      })
    },
    60_000,
  )
}
