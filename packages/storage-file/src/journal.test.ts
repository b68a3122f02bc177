import { describe, expect, it } from 'vitest'
import { FaultyDisk, InjectedFailure } from './faulty-disk.ts'
import { Journal } from './journal.ts'
import { readJournal } from './journal-reader.ts'
import { JOURNAL_FOLDER } from './journal-segment.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { encodeTouches } from './record-codec.ts'
import { seededRandom } from './seeded-random.fixture.ts'

const LIMITS = { ...DEFAULT_STORE_LIMITS, segmentBytes: 4096, reserveBytes: 0 }
const RECORD = { meta: encodeTouches([]), payloads: [Buffer.alloc(600, 'x')], frees: false }

/** A journal whose syncs wait until they are told to go on, each by its number, counted from 0. */
class SlowSyncs {
  readonly disk: FaultyDisk
  readonly #waiting: (() => void)[] = []
  #isHolding = false

  constructor(seed = 1) {
    this.disk = new FaultyDisk({
      random: seededRandom(seed),
      onStep: ({ kind }) => {
        if (kind !== 'sync' || !this.#isHolding) return
        return new Promise((resolve) => this.#waiting.push(resolve))
      },
    })
  }

  get begun(): number {
    return this.#waiting.length
  }

  async journal(): Promise<Journal> {
    await this.disk.makeFolder(JOURNAL_FOLDER)
    const journal = await Journal.start(this.disk, LIMITS, {
      old: [],
      recycled: undefined,
      nextSegment: 1,
      lastSequence: 0,
    })
    this.#isHolding = true
    return journal
  }

  /** What a power cut leaves; nothing waits there. */
  crash(): FaultyDisk {
    this.#isHolding = false
    return this.disk.crash('power')
  }

  /** Ends every sync that has begun, the first of them with a failure if it is to fail. */
  async end(how: 'well' | 'first fails' = 'well'): Promise<void> {
    let isFirst = true
    const restore = this.disk.fail(({ kind }) => {
      const fails = kind === 'sync' && isFirst && how === 'first fails'
      isFirst = false
      return fails
    })
    for (const goOn of this.#waiting.splice(0)) goOn()
    await settled()
    restore()
  }
}

/** Long enough for everything that waits for nothing but turns. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

async function outcomeOf(work: Promise<unknown>): Promise<'done' | 'failed'> {
  return work.then(
    () => 'done',
    (error) => {
      expect(error).toBeInstanceOf(InjectedFailure)
      return 'failed'
    },
  )
}

/** Two records, each with a sync of its own; the first of these fails while the second is under way. */
async function syncTwice(slow: SlowSyncs, journal: Journal): Promise<readonly ('done' | 'failed')[]> {
  await journal.append([RECORD])
  const first = outcomeOf(journal.sync())
  await journal.append([RECORD])
  const second = outcomeOf(journal.sync())
  await slow.end('first fails')
  await slow.end()
  return Promise.all([first, second])
}

describe('a sync that is asked for while another one is under way', () => {
  it('makes its own bytes survive, together with those of all who came meanwhile', async () => {
    const slow = new SlowSyncs()
    const journal = await slow.journal()
    await journal.append([RECORD])
    const first = journal.sync()
    await journal.append([RECORD])
    const second = journal.sync()
    await journal.append([RECORD])
    const third = journal.sync()
    await settled()

    expect(slow.begun).toBe(1)
    await slow.end()
    await first
    expect(journal.synced).toBe(1)
    expect(slow.begun).toBe(1)
    await slow.end()
    await Promise.all([second, third])
    expect(journal.synced).toBe(3)
    expect(slow.begun).toBe(0)
  })

  it('fails with it, promises nothing, and nothing is written after it', async () => {
    const slow = new SlowSyncs()
    const journal = await slow.journal()

    expect(await syncTwice(slow, journal)).toEqual(['failed', 'failed'])
    expect(journal.synced).toBe(0)
    expect(await outcomeOf(journal.append([RECORD]))).toBe('failed')
    expect(await outcomeOf(journal.sync())).toBe('failed')
  })

  it('leaves a journal that can be read after a power cut, when it was lost with the one before', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const slow = new SlowSyncs(seed)
      const journal = await slow.journal()
      await syncTwice(slow, journal)
      await outcomeOf(journal.append([RECORD]))

      await readJournal(slow.crash(), { applied: journal.synced, segment: 0 }, () => undefined)
    }
  })

  it('may find the journal in its next segment', async () => {
    const slow = new SlowSyncs()
    const journal = await slow.journal()
    const filled = journal.append(Array.from({ length: 7 }, () => RECORD))
    // The next segment is made ready, then the full one is synced.
    await settled()
    await slow.end()
    await settled()
    expect([journal.sequence, slow.begun]).toEqual([6, 1])
    const beside = journal.sync()
    await settled()
    expect(slow.begun).toBe(1)
    await slow.end()
    await Promise.all([filled, beside])

    expect([journal.sequence, journal.synced]).toEqual([7, 6])
  })
})

it('nothing follows a write that failed, even if the disk is well again', async () => {
  const slow = new SlowSyncs()
  const journal = await slow.journal()
  const restore = slow.disk.fail(({ kind }) => kind === 'write')
  expect(await outcomeOf(journal.append([RECORD]))).toBe('failed')
  restore()

  expect(await outcomeOf(journal.append([RECORD]))).toBe('failed')
  expect(journal.sequence).toBe(1)
})
