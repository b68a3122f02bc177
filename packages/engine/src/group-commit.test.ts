import { describe, expect, it } from 'vitest'
import { ContractStream, loadOne, pathOf } from './contract-stream.ts'
import { GroupCommit, Ticket } from './group-commit.ts'
import { ManualClock, promisesSettled } from './manual-clock.fixture.ts'
import { ScriptedStorage, type StorageScript } from './scripted-storage.fixture.ts'

class Bench {
  readonly clock: ManualClock = new ManualClock()
  readonly storage: ScriptedStorage
  readonly commits: GroupCommit
  readonly stream: ContractStream = new ContractStream('a')
  readonly settled: string[] = []
  #count = 0

  constructor(script: StorageScript = {}) {
    this.storage = new ScriptedStorage(script)
    this.commits = new GroupCommit(this.storage, this.clock)
  }

  submit(bytes = 1, stream: ContractStream = this.stream): Ticket {
    const name = `${this.#count++}`
    const isFirst = stream.version === 0
    const change = isFirst ? stream.create() : stream.append({ bytes: new Uint8Array(bytes) })
    const ticket = new Ticket({ changes: [change] })
    ticket.onSettled((settled) => {
      this.settled.push(`${name} ${settled.kind === 'result' ? settled.result : 'failed'}`)
    })
    this.commits.submit(ticket)
    return ticket
  }

  async turn(): Promise<void> {
    this.clock.endTurn()
    await promisesSettled()
  }
}

describe('gathering', () => {
  it('sends all commits of a turn in one batch', async () => {
    const bench = new Bench()
    for (let i = 0; i < 5; i++) bench.submit()
    expect(bench.storage.batches).toEqual([])
    await bench.turn()
    expect(bench.storage.batches).toEqual([5])
    expect(bench.settled).toEqual(['0 durable', '1 durable', '2 durable', '3 durable', '4 durable'])
  })

  it('gathers while the store is busy, and goes on without a timer or another turn', async () => {
    const bench = new Bench()
    bench.storage.commits.shut()
    bench.submit()
    await bench.turn()
    for (let i = 0; i < 3; i++) bench.submit()
    await bench.turn()
    expect(bench.storage.batches).toEqual([1])
    bench.storage.commits.letGo()
    await promisesSettled()
    expect(bench.settled).toEqual(['0 durable'])
    expect(bench.storage.batches).toEqual([1, 3])
    bench.storage.commits.open()
    await promisesSettled()
    expect(bench.settled).toEqual(['0 durable', '1 durable', '2 durable', '3 durable'])
    expect(bench.clock.timersSet).toBe(0)
    expect(bench.clock.hasDeferred).toBe(false)
  })

  it('settles at once on a store that has no use for gathering', () => {
    const bench = new Bench({ synchronous: true })
    expect(bench.submit().settled).toEqual({ kind: 'result', result: 'durable' })
    expect(bench.submit().settled).toEqual({ kind: 'result', result: 'durable' })
    expect(bench.storage.batches).toEqual([1, 1])
    expect(bench.clock.hasDeferred).toBe(false)
  })

  it('takes commits that come while it settles others', async () => {
    const bench = new Bench({ synchronous: true })
    const first = new Ticket({ changes: [bench.stream.create()] })
    const second = new Ticket({ changes: [bench.stream.write('x')] })
    first.onSettled(() => bench.commits.submit(second))
    bench.commits.submit(first)
    expect(second.settled).toEqual({ kind: 'result', result: 'durable' })
    expect(bench.commits.pendingCommits).toBe(0)
  })
})

describe('settling', () => {
  it('calls listeners in the order they came, and late ones at once', async () => {
    const bench = new Bench()
    const ticket = bench.submit()
    const heard: string[] = []
    ticket.onSettled(() => heard.push('first'))
    ticket.onSettled(() => heard.push('second'))
    await bench.turn()
    ticket.onSettled(() => heard.push('late'))
    expect(heard).toEqual(['first', 'second', 'late'])
    expect(await ticket.outcome()).toEqual({ kind: 'result', result: 'durable' })
  })

  it('gives each commit its own result', async () => {
    const bench = new Bench({ fateOf: (_, at) => (at === 1 ? 'full' : at === 3 ? 'lost' : 'apply') })
    for (let i = 0; i < 5; i++) bench.submit(1, new ContractStream(`s${i}`))
    await bench.turn()
    expect(bench.settled).toEqual(['0 durable', '1 full', '2 durable', '3 unknown', '4 durable'])
  })

  it('fails a batch as a whole when the store throws, later or at once, and goes on with the next', async () => {
    for (const synchronous of [false, true]) {
      let isBroken = true
      const bench = new Bench({
        synchronous,
        traits: { gathersCommits: true },
        fateOf: () => {
          if (isBroken) throw new Error('disk')
          return 'apply'
        },
      })
      bench.submit()
      bench.submit()
      await bench.turn()
      expect(bench.settled).toEqual(['0 failed', '1 failed'])
      isBroken = false
      bench.submit()
      await bench.turn()
      expect(bench.settled.slice(2)).toEqual(['2 conflict'])
      expect(bench.commits.pendingCommits).toBe(0)
    }
  })

  it('fails what the store gave no answer for', async () => {
    const bench = new Bench()
    const inner = bench.storage.commit.bind(bench.storage)
    bench.storage.commit = async (batch) => (await inner(batch)).slice(0, 1)
    bench.submit()
    bench.submit()
    await bench.turn()
    expect(bench.settled).toEqual(['0 durable', '1 failed'])
  })
})

describe('what rests on a commit that did not happen', () => {
  it('is never offered to the store, other commits are', async () => {
    const bench = new Bench({ fateOf: ({ changes }) => (changes[0]?.version === 1 ? 'full' : 'apply') })
    const other = new ContractStream('other')
    bench.submit()
    await bench.turn()
    bench.storage.commits.shut()
    bench.submit()
    await bench.turn()
    for (let i = 0; i < 3; i++) bench.submit()
    bench.submit(1, other)
    bench.storage.commits.open()
    await promisesSettled()
    expect([...bench.settled].sort()).toEqual([
      '0 durable',
      '1 full',
      '2 conflict',
      '3 conflict',
      '4 conflict',
      '5 durable',
    ])
    expect(bench.storage.batches).toEqual([1, 1, 1])
  })

  it('is given up as well where it rests on it through other streams', async () => {
    const bench = new Bench()
    const [a, b, c] = [new ContractStream('a'), new ContractStream('b'), new ContractStream('c')]
    for (const stream of [a, b, c]) bench.submit(1, stream)
    await bench.turn()
    bench.storage.script = { fateOf: () => 'conflict' }
    bench.storage.commits.shut()
    bench.submit(1, a)
    await bench.turn()
    const both = new Ticket({ changes: [a.write('x'), b.write('x')] })
    const onB = new Ticket({ changes: [b.write('y')] })
    const onC = new Ticket({ changes: [c.write('y')] })
    for (const ticket of [both, onB, onC]) bench.commits.submit(ticket)
    bench.storage.commits.letGo()
    await promisesSettled()
    expect([both, onB, onC].map(({ settled }) => settled)).toEqual([
      { kind: 'result', result: 'conflict' },
      { kind: 'result', result: 'conflict' },
      undefined,
    ])
  })

  it('may be a great deal', async () => {
    const bench = new Bench()
    bench.submit()
    await bench.turn()
    bench.storage.script = { fateOf: () => 'conflict' }
    bench.storage.commits.shut()
    for (let i = 0; i < 100; i++) bench.submit()
    await bench.turn()
    for (let i = 0; i < 19_900; i++) bench.submit()
    bench.storage.commits.open()
    await promisesSettled()
    expect(bench.commits.pendingCommits).toBe(0)
    expect(bench.settled.filter((settled) => settled.endsWith('conflict')).length).toBe(20_000)
  })
})

describe('counting', () => {
  it('knows the commits and bytes under way', async () => {
    const bench = new Bench()
    bench.storage.commits.shut()
    bench.submit()
    bench.submit(100)
    await bench.turn()
    bench.submit(30)
    expect([bench.commits.pendingCommits, bench.commits.pendingBytes]).toEqual([3, 130])
    bench.storage.commits.letGo()
    await promisesSettled()
    expect([bench.commits.pendingCommits, bench.commits.pendingBytes]).toEqual([1, 30])
    bench.storage.commits.open()
    await promisesSettled()
    expect([bench.commits.pendingCommits, bench.commits.pendingBytes]).toEqual([0, 0])
  })

  it('says when nothing is under way any more', async () => {
    const bench = new Bench()
    await bench.commits.whenIdle()
    bench.storage.commits.shut()
    bench.submit()
    let isIdle = false
    bench.commits.whenIdle().then(() => {
      isIdle = true
    })
    await bench.turn()
    bench.submit()
    bench.storage.commits.letGo()
    await promisesSettled()
    expect(isIdle).toBe(false)
    bench.storage.commits.open()
    await promisesSettled()
    expect(isIdle).toBe(true)
    expect(await loadOne(bench.storage, pathOf('a'))).toMatchObject({ version: 2 })
  })
})
