import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DiskLocked } from './disk.ts'
import { fileStorage } from './file-storage.ts'
import { ForeignDirectory } from './format.ts'
import { GENERATION_KEY, RUN_KEY, STORE_KEY } from './home-keys.ts'
import { HOME_FILE } from './home-walk.ts'
import { lmdbHome } from './lmdb-home.ts'
import { openRestoreTarget } from './restore.ts'
import { makeTestFolder } from './test-child.fixture.ts'

const folders: ReturnType<typeof makeTestFolder>[] = []

afterAll(() => {
  for (const folder of folders) folder.remove()
})

function newDir(): string {
  const folder = makeTestFolder()
  folders.push(folder)
  return join(folder.path, 'data')
}

/** The bytes of a home that says this. */
async function homeBytes(entries: Readonly<Record<string, string>>): Promise<Uint8Array> {
  const dataDir = newDir()
  const store = await fileStorage({ dataDir })
  await store.close()
  const home = await lmdbHome(join(dataDir, 'home'))
  await home.commit(Object.entries(entries).map(([key, value]) => [key, Buffer.from(value)]))
  await home.close()
  const again = await fileStorage({ dataDir, durability: 'file-fast' })
  const snapshot = await again.beginSnapshot()
  const { bytes } = snapshot.files.at(-1) ?? { bytes: 0 }
  const copy = await snapshot.read(HOME_FILE, 0, bytes)
  await again.close()
  return copy
}

async function restoreHome(dataDir: string, bytes: Uint8Array): Promise<void> {
  const target = await openRestoreTarget(dataDir)
  const file = await target.create(HOME_FILE)
  await file.write(0, [bytes])
  await file.sync()
  await file.close()
  await target.finish()
}

describe('a restored directory', () => {
  it('is another store, of a generation that the original has not reached', async () => {
    const dataDir = newDir()
    await restoreHome(dataDir, await homeBytes({ [GENERATION_KEY]: '3', [STORE_KEY]: 'original' }))
    const home = await lmdbHome(join(dataDir, 'home'))
    expect([home.get(STORE_KEY), home.get(RUN_KEY)]).toEqual([undefined, undefined])
    await home.close()
    const store = await fileStorage({ dataDir })
    expect(store.generation).toBeGreaterThan(1_000_000_000)
    expect((await store.beginSnapshot()).storeId).not.toBe('original')
    await store.close()
  })

  it('goes on in the next generation where that is later than the clock', async () => {
    const dataDir = newDir()
    await restoreHome(dataDir, await homeBytes({ [GENERATION_KEY]: '99000000000' }))
    const store = await fileStorage({ dataDir })
    expect(store.generation).toBe(99_000_000_001)
    await store.close()
  })
})

describe('a directory that a restore was broken off in', () => {
  it('starts no server, and is restored into again', async () => {
    const dataDir = newDir()
    mkdirSync(join(dataDir, 'blocks'), { recursive: true })
    writeFileSync(join(dataDir, 'RESTORING'), '')
    writeFileSync(join(dataDir, 'blocks', '0000000007.blk'), 'half')
    await expect(fileStorage({ dataDir })).rejects.toThrow('run millrace restore again')
    await restoreHome(dataDir, await homeBytes({}))
    expect(readdirSync(join(dataDir, 'blocks'))).toEqual([])
    expect(readdirSync(dataDir)).not.toContain('RESTORING')
    await (await fileStorage({ dataDir })).close()
  })

  it('is empty again when the restore gives up', async () => {
    const dataDir = newDir()
    const target = await openRestoreTarget(dataDir)
    await (await target.create('blocks/0000000001.blk')).close()
    await expect(openRestoreTarget(dataDir)).rejects.toThrow(DiskLocked)
    await target.abandon()
    expect(readdirSync(dataDir)).toEqual(['LOCK'])
    await (await fileStorage({ dataDir })).close()
  })
})

it.each([
  ['a data directory', async (dataDir: string) => (await fileStorage({ dataDir })).close()],
  ['anything else', async (dataDir: string) => void mkdirSync(join(dataDir, 'photos'), { recursive: true })],
])('nothing is restored over %s', async (_name, fill) => {
  const dataDir = newDir()
  await fill(dataDir)
  const before = readdirSync(dataDir)
  await expect(openRestoreTarget(dataDir)).rejects.toThrow(ForeignDirectory)
  expect(readdirSync(dataDir)).toEqual(before)
})
