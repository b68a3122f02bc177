/** Bits flipped all over a data directory: verify finds each of them, or reads give what was written. */
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspectStore, type VerifyReport, verifyStore } from '@millrace/storage-file'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { filesIn, flipBit, readEverything, type StreamContent, seeded } from './damaged-directory.fixture.ts'
import { makeUsedDirectories, type UsedDirectories } from './used-directory.fixture.ts'

// Every case starts processes, and the machine may be busy.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

const FLIPS = 8
const GONE = 'The block file is missing, or cannot be opened.'

let used: UsedDirectories
const contents = {} as Record<'stopped' | 'killed', ReadonlyMap<string, StreamContent>>

beforeAll(async () => {
  used = await makeUsedDirectories()
  for (const kind of ['stopped', 'killed'] as const) {
    const copy = used.copy(kind)
    const paths: string[] = []
    await inspectStore({
      dataDir: copy,
      onStreams: async (rows) => void paths.push(...rows.map((row) => row.path)),
    })
    contents[kind] = await readEverything(copy, [...paths, 'never-created'])
  }
})

afterAll(() => used.remove())

/** Where the records of the oldest segment of a directory begin and end. */
async function recordsOf(dataDir: string): Promise<readonly [file: string, from: number, to: number]> {
  const { journal } = await inspectStore({ dataDir, limit: 0 })
  const segment = journal.segments.find(({ records }) => records > 1)
  if (segment === undefined) throw new Error('the directory has no journal to damage')
  return [segment.file, 64, 64 + segment.recordBytes]
}

interface Damaged {
  readonly report: VerifyReport
  readonly place: string
}

/** Damages a copy, verifies it, and holds what is read from it against what verify said. */
async function damageAndRead(
  kind: 'stopped' | 'killed',
  damage: (dataDir: string) => Promise<string> | string,
): Promise<Damaged> {
  const dataDir = used.copy(kind)
  const place = await damage(dataDir)
  const before = snapshot(dataDir)
  const report = await verifyStore({ dataDir })
  expect(snapshot(dataDir), `${place}: verify changes nothing`).toEqual(before)
  const expected = contents[kind]
  // A damaged database could end this process, as it may end a server: it is opened only where verify sees no harm.
  if (!report.isSound && place.includes('data.mdb')) return { report, place }
  const read = await readEverything(dataDir, [...expected.keys()]).catch(() => undefined)
  const differing = [...expected].filter(([path, content]) => read?.get(path) !== content)
  const wrong = differing.filter(
    ([path]) => typeof read?.get(path) === 'string' && typeof expected.get(path) === 'string',
  )
  // A write at the end of the journal cannot be told from one that was never answered: it is noticed, and cut off.
  const isCut = report.findings.some(({ what }) => what.includes('never answered'))
  if (report.isSound) expect(read, place).toBeDefined()
  if (report.isSound && !isCut) expect(differing, place).toEqual([])
  if (!isCut) expect(wrong, place).toEqual([])
  rmSync(dataDir, { recursive: true })
  return { report, place }
}

/** Every byte but the owner's number and LMDB's table of readers. */
function snapshot(dataDir: string): readonly string[] {
  const files = ['FORMAT', ...['journal', 'blocks'].flatMap((folder) => filesIn(dataDir, folder))]
  const home = readdirSync(join(dataDir, 'home')).includes('data.mdb') ? ['home/data.mdb'] : []
  return [...files, ...home].map((file) => `${file} ${readFileSync(join(dataDir, file)).toString('base64')}`)
}

async function flipMany(
  kind: 'stopped' | 'killed',
  seed: number,
  flip: (dataDir: string, random: () => number) => Promise<string> | string,
): Promise<readonly string[]> {
  const random = seeded(seed)
  const unfound: string[] = []
  for (let turn = 0; turn < FLIPS; turn++) {
    const { report, place } = await damageAndRead(kind, (dataDir) => flip(dataDir, random))
    if (report.findings.length === 0) unfound.push(place)
  }
  return unfound
}

function pick(files: readonly string[], random: () => number): string {
  return files[Math.floor(random() * files.length)] ?? ''
}

describe('a directory with a history', () => {
  it.each(['stopped', 'killed'] as const)('is sound when it was %s', async (kind) => {
    const report = await verifyStore({ dataDir: used[kind] })

    expect(report.findings).toEqual([])
    expect(report.isSound).toBe(true)
    expect(report.checked.streams).toBeGreaterThan(15)
    expect(report.checked.blocks).toBeGreaterThan(50)
    expect(report.checked.journalRecords).toBeGreaterThan(50)
  })
})

describe('flipped bits', () => {
  it('in blocks are all found', async () => {
    const unfound = await flipMany('stopped', 1, (dataDir, random) =>
      flipBit(dataDir, pick(filesIn(dataDir, 'blocks'), random), random, 64),
    )
    expect(unfound).toEqual([])
  })

  it('in headers of block files and segments are all found', async () => {
    const unfound = await flipMany('killed', 2, (dataDir, random) => {
      // The content of a spare segment means nothing.
      const segments = filesIn(dataDir, 'journal').filter((name) => name.endsWith('.seg'))
      const files = [...filesIn(dataDir, 'blocks'), ...segments]
      return flipBit(dataDir, pick(files, random), random, 0, 64)
    })
    expect(unfound).toEqual([])
  })

  it.each(['stopped', 'killed'] as const)('in journal records of a %s directory are found', async (kind) => {
    const unfound = await flipMany(kind, 3, async (dataDir, random) => {
      const [file, from, to] = await recordsOf(dataDir)
      return flipBit(dataDir, file, random, from, to - 1000)
    })
    // Up to seven bytes behind a record mean nothing.
    expect(unfound.length).toBeLessThan(FLIPS / 2)
  })

  it.each(['stopped', 'killed'] as const)(
    'in the database of a %s directory are found or do no harm',
    async (kind) => {
      // Most pages of a young database are free: how many are found is chance. That the others do no harm is checked.
      await flipMany(kind, 4, (dataDir, random) => flipBit(dataDir, 'home/data.mdb', random))
    },
  )

  it('in every copy of what the database has of its streams are found', async () => {
    const { report } = await damageAndRead('stopped', (dataDir) => {
      const file = join(dataDir, 'home/data.mdb')
      const bytes = readFileSync(file)
      for (let at = bytes.indexOf('"createdAtMs"'); at >= 0; at = bytes.indexOf('"createdAtMs"', at + 1)) {
        bytes.writeUInt8(bytes.readUInt8(at + 3) ^ 1, at + 3)
      }
      writeFileSync(file, bytes)
      return 'home/data.mdb, all states'
    })
    expect(report.isSound).toBe(false)
  })

  it('in the first pages of the database are found or do no harm', async () => {
    const unfound = await flipMany('stopped', 5, (dataDir, random) =>
      flipBit(
        dataDir,
        'home/data.mdb',
        random,
        random() < 0.5 ? 96 : 4096 + 96,
        random() < 0.5 ? 160 : 4096 + 160,
      ),
    )
    expect(unfound.length).toBeLessThan(FLIPS)
  })
})

describe('what is missing', () => {
  it('from the end of a block file is found, with the streams that had it', async () => {
    const { report } = await damageAndRead('stopped', (dataDir) => {
      const [file = ''] = filesIn(dataDir, 'blocks')
      truncateSync(join(dataDir, file), 5000)
      return file
    })
    const streams = report.findings.filter(({ where }) => where.kind === 'stream')

    expect(report.findings.some(({ what }) => /bytes too short/.test(what))).toBe(true)
    expect(streams.length).toBeGreaterThan(0)
    expect(streams.every(({ where }) => where.to !== undefined)).toBe(true)
  })

  it('as a block file is found', async () => {
    const { report } = await damageAndRead('stopped', (dataDir) => {
      const [file = ''] = filesIn(dataDir, 'blocks')
      rmSync(join(dataDir, file))
      return file
    })

    expect(report.findings.map(({ what }) => what)).toContain(GONE)
  })

  it('as a block file with a folder in its place is found, and what is in it is listed', async () => {
    const dataDir = used.copy('stopped')
    const [file = ''] = filesIn(dataDir, 'blocks')
    rmSync(join(dataDir, file))
    mkdirSync(join(dataDir, file))
    const { findings } = await verifyStore({ dataDir })
    const { blockFiles } = await inspectStore({ dataDir, limit: 0 })

    expect(findings.map(({ what }) => what)).toContain(GONE)
    expect(blockFiles.map((one) => one.file)).not.toContain(file)
  })

  it.each([
    ['home', /cannot be read/],
    ['home/data.mdb', /cannot be read/],
  ])('as %s is found, and the rest is checked', async (name, what) => {
    const dataDir = used.copy('killed')
    rmSync(join(dataDir, name), { recursive: true })
    const report = await verifyStore({ dataDir })

    expect(report.findings[0]?.what).toMatch(what)
    expect(report.checked.blocks).toBeGreaterThan(50)
    expect(report.checked.journalRecords).toBeGreaterThan(50)
  })

  it('as the end of the database is found', async () => {
    const dataDir = used.copy('stopped')
    truncateSync(join(dataDir, 'home/data.mdb'), 4096 * 3)
    const report = await verifyStore({ dataDir })

    expect(report.isSound).toBe(false)
    expect(report.findings[0]?.what).toMatch(/cannot be read|damaged/)
  })
})

it('a database that keeps its reader busy without an end is found', async () => {
  // Nothing starts within a millisecond.
  const report = await verifyStore({ dataDir: used.copy('stopped'), silenceMs: 1 })

  expect(report.findings[0]?.what).toMatch(/cannot be read: .* did not get on for 0.001 s/)
  expect(report.checked.blocks).toBeGreaterThan(50)
})

it('a database that ends its reader is found', async () => {
  const dataDir = used.copy('stopped')
  // Its first pages say that there is more of it.
  truncateSync(join(dataDir, 'home/data.mdb'), 2 * 4096)
  const report = await verifyStore({ dataDir })

  expect(report.isSound).toBe(false)
  expect(report.checked.blocks).toBeGreaterThan(50)
})

it('two blocks that were put in each other\u2019s place are found, and never read as each other', async () => {
  const { report } = await damageAndRead('stopped', (dataDir) => {
    const [first = '', second = ''] = filesIn(dataDir, 'blocks')
    const [a, b] = [readFileSync(join(dataDir, first)), readFileSync(join(dataDir, second))]
    writeFileSync(join(dataDir, first), b)
    writeFileSync(join(dataDir, second), a)
    return `${first} and ${second}`
  })

  expect(report.findings.some(({ where }) => where.kind === 'stream')).toBe(true)
})
