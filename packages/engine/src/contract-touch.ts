/** The storage contract on touches: a read renews a sliding window without a commit. */
import type { Expiry } from '@millrace/protocol'
import { type ContractGroup, ContractStream, commitAll, loadOne, NOW, pathOf } from './contract-stream.ts'
import type { Touch } from './storage.ts'

const MINUTE: Expiry = { kind: 'ttl', ttlSeconds: 60 }

function touchOf({ path, id }: ContractStream, atMs: number): Touch {
  return { path, id, atMs, dueAtMs: atMs + 60_000 }
}

/** Registers the cases. A touch may reach the disk late, but the store that took it goes by it at once. */
export function touchCases(group: ContractGroup): void {
  renewalCases(group)
  orderCases(group)
}

function renewalCases({ suite: { expect }, check }: ContractGroup): void {
  check('renews last access and due time, but not the version', async (storage) => {
    const [a, b] = [new ContractStream('a'), new ContractStream('b')]
    await commitAll(storage, a.create({ expiry: MINUTE }), b.create({ expiry: MINUTE }), a.write('x'))
    storage.touch([touchOf(a, NOW + 5000), touchOf(b, NOW + 2000)])
    expect(await loadOne(storage, a.path)).toMatchObject({
      version: 2,
      state: { lastAccessMs: NOW + 5000, tail: 1 },
    })
    expect(await storage.due(NOW + 1e9, 10)).toEqual([
      { path: b.path, dueAtMs: NOW + 62_000 },
      { path: a.path, dueAtMs: NOW + 65_000 },
    ])
    expect(await storage.due(NOW + 60_000, 10)).toEqual([])
    expect(await storage.commit([{ changes: [a.write('y', NOW + 6000)] }])).toEqual(['durable'])
  })

  check('takes no notice after it was closed', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({ expiry: MINUTE }))
    await storage.close()
    expect(storage.touch([touchOf(a, NOW + 5000)])).toBe(undefined)
  })

  check('does not care about streams that are not there', async (storage) => {
    const old = new ContractStream('a', 'old')
    const again = new ContractStream('a', 'new')
    await commitAll(
      storage,
      old.create({ expiry: MINUTE }),
      old.note('purged'),
      again.create({ expiry: MINUTE }),
    )
    storage.touch([touchOf(old, NOW + 5000), touchOf(new ContractStream('nowhere'), NOW + 5000)])
    storage.touch([])
    expect(await loadOne(storage, again.path)).toMatchObject({ version: 1, state: { lastAccessMs: NOW } })
    expect(await loadOne(storage, pathOf('nowhere'))).toBe(undefined)
    expect(await storage.due(NOW + 1e9, 10)).toEqual([{ path: again.path, dueAtMs: NOW + 60_000 }])
  })
}

function orderCases({ suite: { expect }, check }: ContractGroup): void {
  check('an older touch moves nothing back', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({ expiry: MINUTE }))
    storage.touch([touchOf(a, NOW + 5000), touchOf(a, NOW + 4000)])
    storage.touch([touchOf(a, NOW + 3000)])
    expect(await loadOne(storage, a.path)).toMatchObject({ state: { lastAccessMs: NOW + 5000 } })
    expect(await storage.due(NOW + 1e9, 10)).toEqual([{ path: a.path, dueAtMs: NOW + 65_000 }])
  })

  check('a commit that was decided before a touch moves nothing back', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({ expiry: MINUTE }))
    const decided = a.write('x', NOW + 1000)
    storage.touch([touchOf(a, NOW + 5000)])
    expect(await storage.commit([{ changes: [decided] }])).toEqual(['durable'])
    expect(await loadOne(storage, a.path)).toMatchObject({
      version: 2,
      state: { lastAccessMs: NOW + 5000, tail: 1 },
    })
    expect(await storage.due(NOW + 1e9, 10)).toEqual([{ path: a.path, dueAtMs: NOW + 65_000 }])
  })

  check('a touch after a soft deletion brings nothing back', async (storage) => {
    const a = new ContractStream('a')
    await commitAll(storage, a.create({ expiry: MINUTE }), a.note('referenced'), a.note('soft-deleted'))
    storage.touch([touchOf(a, NOW + 5000)])
    expect(await storage.due(NOW + 1e9, 10)).toEqual([])
  })
}
