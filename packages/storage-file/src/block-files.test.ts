import { streamId } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { BLOCK_FOLDER, BlockFiles, blockFileName } from './block-files.ts'
import { spansOf } from './block-spans.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { seededRandom } from './seeded-random.fixture.ts'
import type { BlockPlace } from './state-codec.ts'

it('keeps no more in memory than its bound, however small the blocks are', async () => {
  let reads = 0
  const disk = new FaultyDisk({
    random: seededRandom(1),
    onStep: ({ kind }) => {
      if (kind === 'read') reads++
    },
  })
  await disk.makeFolder(BLOCK_FOLDER)
  const blocks = new BlockFiles(disk, { ...DEFAULT_STORE_LIMITS, blockCacheBytes: 16 * 1024 }, 1)
  const id = streamId('tiny')
  const places = []
  for (let from = 0; from < 100; from++) {
    const units = [{ from, to: from + 1, atMs: 0, messages: 1 }]
    places.push(await blocks.add({ id, from, to: from + 1, units, pieces: [Buffer.from('x')] }))
  }
  await blocks.sync()
  for (const place of places) await blocks.read(id, place)
  const [first] = places
  const last = places.at(-1)
  if (first === undefined || last === undefined) throw new Error('there are no blocks')
  await blocks.read(id, last)
  const readsOfKept = reads
  await blocks.read(id, first)
  await blocks.close()

  expect(readsOfKept).toBe(100)
  expect(reads).toBe(101)
})

it('finds the neighbours of a damaged block in one span', async () => {
  const disk = new FaultyDisk({ random: seededRandom(1) })
  await disk.makeFolder(BLOCK_FOLDER)
  const blocks = new BlockFiles(disk, DEFAULT_STORE_LIMITS, 1)
  const id = streamId('near')
  const places: BlockPlace[] = []
  for (let from = 0; from < 3; from++) {
    const units = [{ from, to: from + 1, atMs: 0, messages: 1 }]
    places.push(await blocks.add({ id, from, to: from + 1, units, pieces: [Buffer.from('x')] }))
  }
  await blocks.sync()
  const damaged = places[1]
  if (damaged === undefined) throw new Error('there is no block')
  disk.flipBit(blockFileName(damaged.file), damaged.at + 25, 0)
  const wanted = places.map((place) => ({ id, place }))
  const [span] = spansOf(wanted, ({ place }) => place)
  if (span === undefined) throw new Error('there is no span')
  const found = await blocks.loadSpan(span)
  await blocks.close()

  expect(span.wanted).toEqual(wanted)
  expect(found.map((block) => block?.from)).toEqual([0, undefined, 2])
})
