import type { Commit, StateChange } from '@millrace/engine'
import { parseStreamPath, streamId } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { writeCommits } from './commit-writer.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { Journal } from './journal.ts'
import { JOURNAL_FOLDER } from './journal-segment.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { seededRandom } from './seeded-random.fixture.ts'

const LIMITS = { ...DEFAULT_STORE_LIMITS, segmentBytes: 8192, reserveBytes: 1024 }

/** A journal of one segment, on a disk that has no room for another. */
async function fullJournal(): Promise<Journal> {
  const disk = new FaultyDisk({ random: seededRandom(1), capacityBytes: LIMITS.segmentBytes })
  await disk.makeFolder(JOURNAL_FOLDER)
  return Journal.start(disk, LIMITS, { old: [], recycled: undefined, nextSegment: 1, lastSequence: 0 })
}

function change(name: string, version: number, payload: Uint8Array | undefined): StateChange {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is no path`)
  const { path } = parsed
  const unit = payload && { sizeBytes: payload.length, messages: 1 }
  return {
    path,
    id: streamId(`id-${name}`),
    version,
    events: [
      unit === undefined
        ? { kind: 'purged' }
        : {
            kind: 'appended',
            unit,
            closes: false,
            producer: undefined,
            streamSeq: undefined,
            forgetBeforeMs: undefined,
            atMs: 1,
          },
    ],
    next: undefined,
    payload,
    payloadAt: 0,
    messages: unit === undefined ? 0 : 1,
    atMs: 1,
    dueAtMs: undefined,
  }
}

const append = (name: string, sizeBytes: number, version = 1): Commit => ({
  changes: [change(name, version, new Uint8Array(sizeBytes))],
})
const remove = (name: string, version = 1): Commit => ({ changes: [change(name, version, undefined)] })

it('on a full disk, what makes room is written although an append before it found none', async () => {
  const journal = await fullJournal()
  const batch = [append('a', 100), append('b', 7000), remove('c'), append('d', 50), remove('e')]

  expect(await writeCommits(journal, batch)).toEqual(['durable', 'full', 'durable', 'full', 'durable'])
  expect(journal.sequence).toBe(3)
})

it('a removal that was decided on top of an append without room is judged again', async () => {
  const journal = await fullJournal()
  const both = { changes: [change('a', 2, undefined), change('c', 1, undefined)] }

  expect(await writeCommits(journal, [append('a', 7500), both, remove('c', 2)])).toEqual([
    'full',
    'conflict',
    'conflict',
  ])
  expect(journal.sequence).toBe(0)
})

it('an append that no segment can hold keeps nobody else from being written', async () => {
  const journal = await fullJournal()
  const batch = [append('a', 9000), append('a', 10, 2), append('b', 10), remove('c')]

  expect(await writeCommits(journal, batch)).toEqual(['full', 'conflict', 'durable', 'durable'])
})

it('removals fill the reserve; then there is room for nothing', async () => {
  const journal = await fullJournal()
  const removals = Array.from({ length: 200 }, (_, at) => remove(`stream-${at}`))
  await writeCommits(journal, [append('a', 6900)])
  const results = await writeCommits(journal, removals)
  const written = results.filter((result) => result === 'durable').length

  expect(written).toBeGreaterThan(5)
  expect(results).toEqual(removals.map((_, at) => (at < written ? 'durable' : 'full')))
})
