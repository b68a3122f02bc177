/** The storage contract on reads: exactly the bytes asked for, in pieces that never change, and append units. */
import { originOf } from './contract-commits.ts'
import {
  type ContractGroup,
  ContractStream,
  commitAll,
  concat,
  isSameBytes,
  NOW,
  readBytes,
  seededBytes,
  seededNumbers,
  thrownBy,
} from './contract-stream.ts'
import type { AppendUnit, StreamStorage } from './storage.ts'

const MIB = 1024 * 1024

/** Registers the cases. */
export function readCases(group: ContractGroup): void {
  rangeCases(group)
  bufferCases(group)
  refusalCases(group)
  unitCases(group)
  forkCases(group)
}

/** Sizes around those at which stores change their ways. */
function nextSize(next: () => number): number {
  const sizes = [1, 2, 3, 7, 200, 255, 256, 257, 4095, 8191, 8192, 8193, 65_535, 65_536, 65_537]
  const size = sizes[Math.floor(next() * sizes.length * 1.3)]
  return size ?? 1 + Math.floor(next() * 40_000)
}

/** Random appends to one stream; what it must then hold, and the units. */
async function appendRandomly(
  storage: StreamStorage,
  stream: ContractStream,
  count: number,
  seed: number,
): Promise<{ readonly bytes: Uint8Array; readonly units: readonly AppendUnit[] }> {
  const next = seededNumbers(seed)
  const pieces: Uint8Array[] = []
  const units: AppendUnit[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    const bytes = seededBytes(nextSize(next), next)
    const messages = 1 + Math.floor(next() * 5)
    const atMs = NOW + i * 3
    await commitAll(storage, stream.append({ bytes: bytes.slice(), messages, atMs }))
    pieces.push(bytes)
    units.push({ from: at, to: at + bytes.length, atMs, messages })
    at += bytes.length
  }
  return { bytes: concat(pieces), units }
}

function rangeCases({ suite: { expect }, check }: ContractGroup): void {
  for (const seed of [1, 2, 3, 4]) {
    check(`reads exactly the bytes of any range (seed ${seed})`, async (storage) => {
      const a = new ContractStream('a')
      const b = new ContractStream('b')
      await commitAll(storage, a.create(), b.create({}, { bytes: seededBytes(1000, seededNumbers(99)) }))
      const { bytes, units } = await appendRandomly(storage, a, 40, seed)
      const next = seededNumbers(seed + 100)
      const borders = units.flatMap(({ from, to }) => [
        [from, to] as const,
        [to - 1, Math.min(to + 1, bytes.length)] as const,
      ])
      const random = Array.from({ length: 120 }, () => {
        const from = Math.floor(next() * bytes.length)
        return [from, from + 1 + Math.floor(next() * next() * (bytes.length - from))] as const
      })
      for (const [from, to] of [[0, bytes.length] as const, ...borders, ...random]) {
        const read = await readBytes(storage, a.id, from, to)
        expect(`${from}-${to} ${isSameBytes(read, bytes.subarray(from, to))}`).toBe(`${from}-${to} true`)
      }
    })
  }

  check('reads while it commits', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({}, { bytes: seededBytes(5000, seededNumbers(1)) }))
    const reads = Array.from({ length: 20 }, (_, i) =>
      Promise.all([readBytes(storage, a.id, i * 10, 5000), commitAll(storage, a.write(`more ${i}`))]),
    )
    const sizes = (await Promise.all(reads)).map(([bytes]) => bytes.length)
    expect(sizes).toEqual(sizes.map((_, i) => 5000 - i * 10))
  })

  check(
    'takes a payload of 8 MiB',
    async (storage) => {
      const bytes = seededBytes(8 * MIB, seededNumbers(5))
      const a = new ContractStream('a')
      await commitAll(
        storage,
        a.create(),
        a.write('small'),
        a.append({ bytes: bytes.slice() }),
        a.write('after'),
      )
      expect(isSameBytes(await readBytes(storage, a.id, 5, 5 + 8 * MIB), bytes)).toBe(true)
      expect(await storage.unitAt(a.id, 4 * MIB)).toMatchObject({ from: 5, to: 5 + 8 * MIB })
      const end = await readBytes(storage, a.id, 8 * MIB, 8 * MIB + 10)
      expect(new TextDecoder().decode(end.subarray(5))).toBe('after')
    },
    30_000,
  )
}

function bufferCases({ suite: { expect }, check }: ContractGroup): void {
  check('what a read gave stays as it is while the stream grows', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create())
    const { bytes } = await appendRandomly(storage, a, 12, 7)
    const ranges = [0, 1, 100, 5000].map((from) => ({ id: a.id, from, to: bytes.length - 1 }))
    const pieces: (readonly Uint8Array[])[] = []
    for (const range of ranges) pieces.push(await storage.read(range))
    await appendRandomly(storage, a, 30, 8)
    await commitAll(storage, a.note('purged'))
    const kept = ranges.map(({ from, to }, at) =>
      isSameBytes(concat(pieces[at] ?? []), bytes.subarray(from, to)),
    )
    expect(kept).toEqual([true, true, true, true])
  })

  check(
    'a payload may be part of a larger buffer, whose other parts belong to somebody else',
    async (storage) => {
      const a = new ContractStream('a')
      await commitAll(storage, a.create())
      for (const size of [10, 9000, 70_000]) {
        const bytes = seededBytes(size, seededNumbers(size))
        const larger = new Uint8Array(size + 20)
        larger.set(bytes, 7)
        const from = a.state?.tail ?? 0
        await commitAll(storage, a.append({ bytes: larger.subarray(7, 7 + size) }))
        larger.fill(1, 0, 7)
        larger.fill(2, 7 + size)
        expect(isSameBytes(await readBytes(storage, a.id, from, from + size), bytes)).toBe(true)
      }
    },
  )

  check('never writes into a payload', async (storage) => {
    const a = new ContractStream('a')
    const payloads = [10, 300, 9000, 70_000].map((size) => seededBytes(size, seededNumbers(size)))
    const before = payloads.map((payload) => payload.slice())
    await commitAll(storage, a.create(), ...payloads.map((bytes) => a.append({ bytes })))
    await appendRandomly(storage, a, 10, 11)
    expect(payloads.map((payload, at) => isSameBytes(payload, before[at] ?? payload.subarray(1)))).toEqual([
      true,
      true,
      true,
      true,
    ])
  })
}

function refusalCases({ suite: { expect }, check }: ContractGroup): void {
  check('throws rather than give less than was asked for', async (storage) => {
    const a = new ContractStream('a')
    const source = new ContractStream('source')
    const fork = new ContractStream('fork')
    await commitAll(
      storage,
      a.create(),
      a.write('0123456789'),
      source.create({}, { bytes: new Uint8Array(50) }),
    )
    await commitAll(storage, fork.create({ fork: originOf(source, 40) }), fork.write('own'))
    const ranges = [
      { id: a.id, from: 0, to: 11 },
      { id: a.id, from: 10, to: 11 },
      { id: a.id, from: 11, to: 12 },
      { id: a.id, from: -1, to: 3 },
      { id: fork.id, from: 39, to: 43 },
      { id: fork.id, from: 0, to: 10 },
      { id: fork.id, from: 40, to: 44 },
    ]
    for (const range of ranges) {
      const thrown = await thrownBy(() => storage.read(range))
      expect({ range, threw: thrown !== undefined }).toEqual({ range, threw: true })
    }
  })

  check('throws for a position that holds no byte', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create())
    expect((await thrownBy(() => storage.unitAt(a.id, 0))) === undefined).toBe(false)
    await commitAll(storage, a.write('12345'))
    expect((await thrownBy(() => storage.unitAt(a.id, 5))) === undefined).toBe(false)
    expect((await thrownBy(() => storage.unitAt(a.id, -1))) === undefined).toBe(false)
  })

  check('says that a stream it does not know was removed', async (storage) => {
    const a = new ContractStream('a')
    expect(await thrownBy(() => storage.read({ id: a.id, from: 0, to: 1 }))).toMatchObject({
      code: 'removed',
    })
    expect(await thrownBy(() => storage.unitAt(a.id, 0))).toMatchObject({ code: 'removed' })
  })
}

function unitCases({ suite: { expect }, check }: ContractGroup): void {
  check('finds the append unit of every byte', async (storage) => {
    const a = new ContractStream('a')
    const units: AppendUnit[] = []
    await commitAll(storage, a.create())
    for (const [at, size] of [1, 2, 1, 5, 3, 40, 1].entries()) {
      const from = a.state?.tail ?? 0
      const unit = { from, to: from + size, atMs: NOW + at * 10, messages: at + 1 }
      await commitAll(
        storage,
        a.append({ bytes: new Uint8Array(size), messages: unit.messages, atMs: unit.atMs }),
      )
      units.push(unit)
    }
    const expected = units.flatMap((unit) => Array.from({ length: unit.to - unit.from }, () => unit))
    const found: AppendUnit[] = []
    for (let at = 0; at < expected.length; at++) found.push(await storage.unitAt(a.id, at))
    expect(found).toEqual(expected)
  })

  check('finds the first and the last byte of large and small units', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create())
    const { units } = await appendRandomly(storage, a, 60, 21)
    const found: AppendUnit[] = []
    for (const { from, to } of units)
      found.push(await storage.unitAt(a.id, from), await storage.unitAt(a.id, to - 1))
    expect(found).toEqual(units.flatMap((unit) => [unit, unit]))
  })

  check('a close adds no unit', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({}, { bytes: new Uint8Array(4), atMs: NOW }))
    await commitAll(storage, a.append({ closes: true, atMs: NOW + 5 }))
    expect(await storage.unitAt(a.id, 3)).toEqual({ from: 0, to: 4, atMs: NOW, messages: 1 })
  })
}

function forkCases({ suite: { expect }, check }: ContractGroup): void {
  check("a fork's own bytes begin where it left its source", async (storage) => {
    const source = new ContractStream('source')
    const fork = new ContractStream('fork')
    await commitAll(storage, source.create({}, { bytes: new Uint8Array(5000) }))
    await commitAll(storage, fork.create({ fork: originOf(source, 4000, 321) }))
    const { bytes } = await appendRandomly(storage, fork, 10, 31)
    expect(isSameBytes(await readBytes(storage, fork.id, 4321, 4321 + bytes.length), bytes)).toBe(true)
    expect(isSameBytes(await readBytes(storage, fork.id, 4400, 4500), bytes.subarray(79, 179))).toBe(true)
    expect(await storage.unitAt(fork.id, 4321)).toMatchObject({ from: 4321 })
    expect(await storage.unitAt(fork.id, 4321 + bytes.length - 1)).toMatchObject({ to: 4321 + bytes.length })
    expect((await thrownBy(() => storage.unitAt(fork.id, 4320))) === undefined).toBe(false)
  })

  check("a fork's bytes and its source's are apart", async (storage) => {
    const source = new ContractStream('source')
    const fork = new ContractStream('fork')
    await commitAll(storage, source.create({}, { bytes: new Uint8Array([1, 2, 3]) }))
    await commitAll(storage, fork.create({ fork: originOf(source, 3) }, { bytes: new Uint8Array([7, 8]) }))
    await commitAll(storage, source.append({ bytes: new Uint8Array([4, 5]) }))
    expect([...(await readBytes(storage, fork.id, 3, 5))]).toEqual([7, 8])
    expect([...(await readBytes(storage, source.id, 3, 5))]).toEqual([4, 5])
    await commitAll(storage, fork.note('purged'))
    expect([...(await readBytes(storage, source.id, 0, 5))]).toEqual([1, 2, 3, 4, 5])
  })
}
