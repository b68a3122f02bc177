import { describe, expect, it } from 'vitest'
import type { Disk } from './disk.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { Journal } from './journal.ts'
import { JournalDamaged, readJournal } from './journal-reader.ts'
import { JOURNAL_FOLDER, SEGMENT_HEADER_BYTES, segmentName } from './journal-segment.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { encodeTouches, recordBytes } from './record-codec.ts'
import { seededRandom } from './seeded-random.fixture.ts'

const limits = { ...DEFAULT_STORE_LIMITS, segmentBytes: 1024, reserveBytes: 0 }
const META = encodeTouches([])
/** A payload that makes four records fill a segment. */
const PAYLOAD = Buffer.alloc(190, 'x')
const SIZE = recordBytes(META.length + PAYLOAD.length)

/** A journal with so many synced records, one a batch, four to a segment. */
async function journalOf(records: number): Promise<Disk> {
  const disk = new FaultyDisk({ random: seededRandom(1) })
  await disk.makeFolder(JOURNAL_FOLDER)
  const journal = await Journal.start(disk, limits, {
    old: [],
    recycled: undefined,
    nextSegment: 1,
    lastSequence: 0,
  })
  for (let record = 0; record < records; record++) {
    await journal.append([{ meta: META, payloads: [PAYLOAD], frees: false }])
    await journal.sync()
  }
  await journal.close()
  return disk
}

/** Damages a record, counted from 0 in its segment. */
async function damage(disk: Disk, segment: number, record: number): Promise<void> {
  const file = await disk.open(segmentName(segment))
  await file.write(SEGMENT_HEADER_BYTES + record * SIZE + 100, [Buffer.from('damage')])
  await file.close()
}

async function contentOf(disk: Disk): Promise<readonly string[]> {
  const names = (await disk.list(JOURNAL_FOLDER)).map((name) => `${JOURNAL_FOLDER}/${name}`).sort()
  const contents: string[] = []
  for (const name of names) {
    const file = await disk.open(name)
    contents.push(`${name} ${Buffer.from(await file.read(0, await file.size())).toString('base64')}`)
    await file.close()
  }
  return contents
}

async function sequencesRead(disk: Disk, applied: number): Promise<readonly number[]> {
  const sequences: number[] = []
  await readJournal(disk, { applied, segment: 0 }, ({ sequence }) => sequences.push(sequence))
  return sequences
}

describe('a damaged record that the home holds', () => {
  it('does not take the records behind it with it', async () => {
    const disk = await journalOf(3)
    await damage(disk, 1, 0)

    expect(await sequencesRead(disk, 2)).toEqual([3])
  })

  it('does not hide that one behind it is damaged', async () => {
    const disk = await journalOf(4)
    await damage(disk, 1, 0)
    await damage(disk, 1, 2)

    await expect(sequencesRead(disk, 2)).rejects.toThrow(JournalDamaged)
  })
})

describe('a journal that is refused', () => {
  it('is left as it is, where the end of a segment is damaged and another one follows', async () => {
    const disk = await journalOf(6)
    await damage(disk, 1, 3)
    const before = await contentOf(disk)

    await expect(sequencesRead(disk, 0)).rejects.toThrow(JournalDamaged)
    expect(await contentOf(disk)).toEqual(before)
  })
})
