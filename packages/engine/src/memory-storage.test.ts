import { describe, expect, it } from 'vitest'
import { ContractStream, commitAll, loadOne, oneByOne, plainOf, readBytes } from './contract-stream.ts'
import { memoryStorage } from './memory-storage.ts'
import { storageContract } from './storage-contract.ts'

storageContract({ describe, it, expect }, 'memory', async () => memoryStorage())

describe('the bound on bytes', () => {
  const BOUND = 100 * 1024

  it('refuses what does not fit, and changes nothing', async () => {
    const storage = memoryStorage({ maxBytes: BOUND })
    const a = new ContractStream('a')
    await commitAll(storage, a.create(), a.append({ bytes: new Uint8Array(90 * 1024) }))
    const before = plainOf(await loadOne(storage, a.path))
    const tooMuch = a.copy().append({ bytes: new Uint8Array(10 * 1024 + 1), streamSeq: '1' })
    expect(storage.commit([{ changes: [tooMuch] }])).toEqual(['full'])
    expect(plainOf(await loadOne(storage, a.path))).toEqual(before)
    expect(storage.commit(oneByOne(a.append({ bytes: new Uint8Array(10 * 1024) })))).toEqual(['durable'])
  })

  it('counts the memory that bytes take, so that what was set aside for a stream is there for it', async () => {
    const storage = memoryStorage({ maxBytes: 8192 + 8192 })
    const a = new ContractStream('a')
    await commitAll(storage, a.create(), a.append({ bytes: new Uint8Array(8192) }), a.write('copied'))
    const b = new ContractStream('b')
    await commitAll(storage, b.create())
    expect(storage.commit(oneByOne(b.write('x')))).toEqual(['full'])
    expect(storage.commit(oneByOne(a.write('fits into what is there')))).toEqual(['durable'])
  })

  it('refuses a commit of several streams as a whole', async () => {
    const storage = memoryStorage({ maxBytes: BOUND })
    const [a, b] = [new ContractStream('a'), new ContractStream('b')]
    await commitAll(storage, a.create(), b.create())
    const half = (stream: ContractStream) => stream.copy().append({ bytes: new Uint8Array(60 * 1024) })
    expect(storage.commit([{ changes: [half(a), half(b)] }])).toEqual(['full'])
    expect(storage.commit(oneByOne(half(a), half(b)))).toEqual(['durable', 'full'])
    expect((await loadOne(storage, b.path))?.state.tail).toBe(0)
  })

  it('always has room for what stores no bytes', async () => {
    const storage = memoryStorage({ maxBytes: 10 * 1024 })
    const a = new ContractStream('a')
    const b = new ContractStream('b')
    await commitAll(storage, a.create({}, { bytes: new Uint8Array(10 * 1024) }))
    expect(storage.commit(oneByOne(b.create(), a.append({ closes: true })))).toEqual(['durable', 'durable'])
  })

  it('R-136: a purge makes room again, every byte of it', async () => {
    const storage = memoryStorage({ maxBytes: BOUND })
    for (let round = 0; round < 20; round++) {
      const a = new ContractStream('a', `round-${round}`)
      await commitAll(storage, a.create(), a.write('small'), a.append({ bytes: new Uint8Array(99 * 1024) }))
      expect(storage.commit(oneByOne(a.copy().append({ bytes: new Uint8Array(2048) })))).toEqual(['full'])
      await commitAll(storage, a.note('purged'))
    }
    const all = new ContractStream('all')
    await commitAll(storage, all.create(), all.append({ bytes: new Uint8Array(BOUND) }))
    expect((await readBytes(storage, all.id, 0, BOUND)).length).toBe(BOUND)
  })
})

describe('memory', () => {
  it('keeps a large payload as it is, and copies what is part of a larger buffer', async () => {
    const storage = memoryStorage()
    const a = new ContractStream('a')
    const whole = new Uint8Array(10_000)
    const part = new Uint8Array(100_000).subarray(0, 10_000)
    await commitAll(storage, a.create(), a.append({ bytes: whole }), a.append({ bytes: part }))
    const pieces = await storage.read({ id: a.id, from: 0, to: 20_000 })
    expect(pieces[0]?.buffer).toBe(whole.buffer)
    expect(pieces.map(({ buffer }) => buffer)).not.toContain(part.buffer)
  })
})

describe('traits', () => {
  it('says that it neither lasts nor gathers, and answers in the same turn', () => {
    const storage = memoryStorage()
    expect(storage.traits).toEqual({ durable: false, sharedBetweenProcesses: false, gathersCommits: false })
    expect(storage.commit(oneByOne(new ContractStream('a').create()))).toEqual(['durable'])
  })
})
