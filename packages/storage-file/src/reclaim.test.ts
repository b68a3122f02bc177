import { expect, it } from 'vitest'
import { BLOCK_FOLDER, BlockFiles, blockFileName } from './block-files.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { fileKey } from './home-keys.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { MemoryHome } from './memory-home.ts'
import { reclaim } from './reclaim.ts'
import { seededRandom } from './seeded-random.fixture.ts'
import { encodeUse } from './state-codec.ts'

const FILES = 1000

it('of many block files finds each dead one, and lets other work go on meanwhile', async () => {
  const disk = new FaultyDisk({ random: seededRandom(1) })
  const home = new MemoryHome()
  await disk.makeFolder(BLOCK_FOLDER)
  const isDead = (file: number): boolean => file % 3 === 0
  for (let file = 1; file <= FILES; file++) {
    await (await disk.create(blockFileName(file))).close()
    await home.commit([[fileKey(file), encodeUse({ sizeBytes: 100, liveBytes: isDead(file) ? 0 : 90 })]])
  }
  let turns = 0
  await reclaim({
    disk,
    home,
    blocks: new BlockFiles(disk, DEFAULT_STORE_LIMITS, FILES + 1),
    limits: DEFAULT_STORE_LIMITS,
    isHeld: () => false,
    yieldTurn: async () => {
      turns++
    },
  })

  const left = Array.from({ length: FILES }, (_, at) => at + 1).filter((file) => !isDead(file))
  expect([...(await disk.list(BLOCK_FOLDER))].sort()).toEqual(
    left.map((file) => blockFileName(file).slice(7)),
  )
  expect(turns).toBeGreaterThan(3)
})
