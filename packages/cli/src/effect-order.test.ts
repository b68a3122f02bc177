/** The checker of the order of effects, on traces made by hand: each broken promise is noticed. */
import { describe, expect, test } from 'vitest'
import { type Acknowledged, checkEffectOrder, type OrderReport } from './effect-order.fixture.ts'
import { parseTrace } from './system-calls.fixture.ts'

const ACKNOWLEDGED: readonly Acknowledged[] = [
  { marker: '<one>', nextOffset: '0_5' },
  { marker: '<two>', nextOffset: '0_9' },
]

/** Two segments, one append in each, and the checkpoint that lets the first go. Each line has a name. */
const GOOD: readonly (readonly [name: string, line: string])[] = [
  ['dsync', '1 openat(AT_FDCWD</>, "/d/home/data.mdb", O_WRONLY|O_DSYNC|O_CLOEXEC) = 21</d/home/data.mdb>'],
  ['header', '1 pwrite64(22</d/journal/spare>, "MILLRJ01", 8, 0) = 8'],
  ['header sync', '1 fdatasync(22</d/journal/spare>) = 0'],
  ['name', '1 rename("/d/journal/spare", "/d/journal/0000000001.seg") = 0'],
  ['name sync', '1 fsync(23</d/journal>) = 0'],
  ['record', '2 pwrite64(22</d/journal/0000000001.seg>, "..<one>..", 9, 64) = 9'],
  ['sync', '2 fdatasync(22</d/journal/0000000001.seg> <unfinished ...>'],
  ['tick', '1 write(17<anon_inode:[eventfd]>, "1", 1) = 1'],
  ['synced', '2 <... fdatasync resumed>) = 0'],
  ['answer', '1 write(9<socket:[7]>, "HTTP/1.1 204 No Content\\r\\nStream-Next-Offset: 0_5\\r\\n", 50) = 50'],
  ['file', '1 openat(AT_FDCWD</>, "/d/blocks/0000000001.blk", O_RDWR|O_CREAT|O_EXCL, 0600) = 24</d/b>'],
  ['block', '2 pwrite64(24</d/blocks/0000000001.blk>, "BLK1..<one>..", 13, 64) = 13'],
  ['block sync', '2 fdatasync(24</d/blocks/0000000001.blk>) = 0'],
  ['file sync', '2 fsync(25</d/blocks>) = 0'],
  ['pages', '3 pwrite64(20</d/home/data.mdb>, "pages", 5, 4096) = 5'],
  ['pages sync', '3 fdatasync(20</d/home/data.mdb>) = 0'],
  ['flush', '3 pwrite64(21</d/home/data.mdb>, "meta", 4, 0) = 4'],
  ['retire', '2 rename("/d/journal/0000000001.seg", "/d/journal/spare") = 0'],
  ['retire sync', '2 fsync(23</d/journal>) = 0'],
  ['reuse', '2 pwrite64(22</d/journal/spare>, "MILLRJ01", 8, 0) = 8'],
  ['reuse sync', '2 fdatasync(22</d/journal/spare>) = 0'],
  ['rename', '2 rename("/d/journal/spare", "/d/journal/0000000002.seg") = 0'],
  ['rename sync', '2 fsync(23</d/journal>) = 0'],
  ['record 2', '2 pwritev(22</d/journal/0000000002.seg>, [{iov_base="<two>", iov_len=5}], 1, 64) = 5'],
  ['sync 2', '2 fdatasync(22</d/journal/0000000002.seg>) = 0'],
  ['answer 2', '1 writev(9<socket:[7]>, [{iov_base="HTTP/1.1 204\\r\\nStream-Next-Offset: 0_9"}], 1) = 30'],
]

type Lines = readonly (readonly [name: string, line: string])[]

function check(lines: Lines, durability: 'file-durable' | 'file-fast' = 'file-durable'): OrderReport {
  return checkEffectOrder(parseTrace(lines.map(([, line]) => line).join('\n')), ACKNOWLEDGED, durability)
}

function without(...names: readonly string[]): Lines {
  return GOOD.filter(([name]) => !names.includes(name))
}

/** The same with one line earlier: directly before another. */
function earlier(name: string, before: string): Lines {
  const moved = GOOD.filter(([each]) => each === name)
  return without(name).flatMap((entry) => (entry[0] === before ? [...moved, entry] : [entry]))
}

test('finds nothing wrong with the right order, and has seen everything', () => {
  expect(check(GOOD)).toEqual({
    violations: [],
    seen: {
      answers: 2,
      earlyAnswers: 0,
      homeFlushes: 1,
      newBlockFiles: 1,
      retiredSegments: 1,
      newSegments: 2,
    },
  })
})

describe('notices', () => {
  test.each<[string, Lines, string]>([
    ['an answer without a sync', without('sync', 'synced'), '<one> was answered before it was synced'],
    [
      'an answer while the sync is under way',
      earlier('answer', 'synced'),
      '<one> was answered before it was synced',
    ],
    ['an answer before the sync', earlier('answer', 'sync'), '<one> was answered before it was synced'],
    [
      'an answer before the write',
      earlier('answer', 'record'),
      '<one> was answered before it was in the journal',
    ],
    ['a write that is nowhere', without('record'), '<one>: its write to the journal is not in the trace'],
    ['an answer that is nowhere', without('answer 2'), '<two>: its answer is not in the trace'],
    ['a sync that never comes', without('sync 2'), '<two> was never synced'],
    [
      'a block before its record is synced',
      earlier('block', 'synced'),
      '<one> was in a block before its record was synced',
    ],
    [
      'an unsynced block under a flush',
      earlier('flush', 'block sync'),
      'the home was flushed before a write to /d/blocks/0000000001.blk was synced',
    ],
    [
      'unsynced pages under a flush',
      earlier('flush', 'pages sync'),
      'the home was flushed before a write to /d/home/data.mdb was synced',
    ],
    [
      'a block file without an entry',
      without('file sync'),
      'the home was flushed before the folder entry of /d/blocks/0000000001.blk was synced',
    ],
    [
      'a segment that goes before the flush',
      earlier('retire', 'flush'),
      '/d/journal/0000000001.seg went before <one> was in a block that the home names',
    ],
    [
      'a segment that goes without a block',
      without('block'),
      '/d/journal/0000000001.seg went before <one> was in a block that the home names',
    ],
    [
      'a name that is not gone for good',
      without('retire sync', 'rename sync'),
      'the folder of /d/journal/0000000001.seg was not synced when it had gone',
    ],
    [
      'a spare that is used too early',
      earlier('reuse', 'retire sync'),
      '/d/journal/0000000001.seg was written to again before its name was gone for good',
    ],
    [
      'a segment named before it is synced',
      earlier('name', 'header sync'),
      '/d/journal/0000000001.seg got its name before it was synced',
    ],
    [
      'a record in a segment without an entry',
      earlier('record', 'name sync'),
      '/d/journal/0000000001.seg got a record before its folder entry was synced',
    ],
  ])('%s', (_, lines, violation) => {
    expect(check(lines).violations).toContain(violation)
  })

  test('a sync that failed', () => {
    const failed = GOOD.map(
      ([name, line]) => [name, line.replace(/resumed>\) = 0/, 'resumed>) = -1 EIO')] as const,
    )

    expect(check(failed).violations).toContain('<one> was answered before it was synced')
  })
})

test('lets a fast server answer before the sync, but not leave it out', () => {
  expect(check(earlier('answer', 'sync'), 'file-fast')).toMatchObject({
    violations: [],
    seen: { earlyAnswers: 1 },
  })
  expect(check(without('sync 2'), 'file-fast').violations).toEqual(['<two> was never synced'])
})
