import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Unreachable } from './admin-client.ts'
import { type BackupListener, type BackupSummary, runBackup, ServerGone } from './backup.ts'
import { NotABackup } from './backup-folder.ts'
import { formatManifest, type Manifest, parseManifest } from './backup-manifest.ts'
import { type Contents, newFolder, SILENT, World } from './backup-world.fixture.ts'
import { runRestore } from './restore.ts'

/** More than one piece on its way. */
const BIG = 200_000
const RESTORE_SILENT = { started() {}, copied() {} }

function backUp(world: World, target: string, listener: BackupListener = SILENT): Promise<BackupSummary> {
  const { dataDir } = world
  return runBackup({ target, dataDir, retryForMs: 20_000, millraceVersion: '1.2.3' }, listener)
}

function restore(backup: string, dataDir: string): Promise<Manifest> {
  return runRestore({ backup, dataDir }, RESTORE_SILENT)
}

/** What a server has that is started on the restored backup. */
async function restoredContents(backup: string): Promise<Contents> {
  const dataDir = join(newFolder(), 'restored')
  await restore(backup, dataDir)
  const world = await World.open(dataDir)
  const contents = await world.contents()
  await world.close()
  return contents
}

async function filledWorld(): Promise<World> {
  const world = await World.open(join(newFolder(), 'data'))
  await world.append('big', 'b'.repeat(BIG))
  for (let i = 0; i < 6; i++) await world.append(`s/${i}`, `${i} `.repeat(1500))
  return world
}

/** Throws at the n-th piece that is copied, as a process that is killed does without a last word. */
function cutAt(n: number): BackupListener {
  let copied = 0
  return {
    ...SILENT,
    copied() {
      if (++copied === n) throw new Error('cut')
    },
  }
}

async function isCut(backup: Promise<unknown>): Promise<boolean> {
  try {
    await backup
    return false
  } catch (error) {
    if (error instanceof Error && error.message === 'cut') return true
    throw error
  }
}

function storedIn(target: string): readonly string[] {
  const blocks = readdirSync(join(target, 'blocks')).map((name) => `blocks/${name}`)
  return [...blocks, ...readdirSync(target).filter((name) => /\.(mdb|ndjson)/.test(name))].sort()
}

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}

describe('a backup', () => {
  it('holds everything, says so, and is restored to the same streams', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    const { manifest, reusedBytes } = await backUp(world, target)
    const contents = await world.contents()
    expect(await restoredContents(target)).toEqual(contents)
    expect([manifest.streams, reusedBytes]).toEqual([{ count: 7, bytes: BIG + 6 * 3000 }, 0])
    expect(parseManifest(readFileSync(join(target, 'manifest.json'), 'utf8'), '')).toEqual(manifest)
    const lines = readFileSync(join(target, 'streams.ndjson'), 'utf8').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line)).map(({ path, tail }) => [path, tail])).toEqual(
      Object.entries(contents).map(([path, text]) => [path, text.length]),
    )
  })

  it('in the same folder again fetches what is new, and leaves nothing behind', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    await backUp(world, target)
    await world.append('s/0', 'more '.repeat(300))
    await world.append('new', 'new '.repeat(300))
    await world.remove('s/1')
    const { manifest, reusedBytes } = await backUp(world, target)
    expect(reusedBytes).toBeGreaterThan(10_000)
    expect(storedIn(target)).toEqual(manifest.files.map(({ stored }) => stored).sort())
    expect(await restoredContents(target)).toEqual(await world.contents())
  })

  it('goes on where it was cut, wherever that was, and an earlier one is whole until then', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    await backUp(world, target)
    const before = await world.contents()
    await world.append('s/0', 'more '.repeat(900))
    await world.append('new', 'new '.repeat(900))
    await world.remove('s/2')
    let cuts = 0
    while (await isCut(backUp(world, target, cutAt(cuts + 1)))) {
      cuts++
      expect(await restoredContents(target)).toEqual(before)
    }
    expect(cuts).toBeGreaterThan(5)
    expect(await restoredContents(target)).toEqual(await world.contents())
  }, 60_000)

  it('that never was complete goes on too, over a torn end, and is no backup until then', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    let cuts = 0
    while (await isCut(backUp(world, target, cutAt(cuts + 1)))) {
      cuts++
      const last = storedIn(target).at(-1) ?? ''
      // What a power cut may leave of bytes that were never synced.
      writeFileSync(join(target, last), Buffer.alloc(500))
      await expect(restore(target, join(newFolder(), 'r'))).rejects.toThrow('has no manifest.json')
    }
    expect(cuts).toBeGreaterThan(5)
    expect(await restoredContents(target)).toEqual(await world.contents())
  })

  it('waits for a server that goes away in the middle, and goes on with a new snapshot', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    const notes: string[] = []
    let reads = 0
    world.onRead = async () => {
      if (++reads !== 4) return
      await world.hide()
      await world.append('s/0', 'written meanwhile')
    }
    const note = (sentence: string): void => {
      notes.push(sentence)
      void world.listen()
    }
    const { manifest } = await backUp(world, target, { ...SILENT, note })
    expect(notes).toEqual(['The connection to the server was lost: waiting for it.'])
    expect(manifest.streams.bytes).toBe(BIG + 6 * 3000 + 'written meanwhile'.length)
    expect(await restoredContents(target)).toEqual(await world.contents())
  })

  it('gives up on a server that does not come back', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    world.onRead = () => world.hide()
    const settings = { target, dataDir: world.dataDir, retryForMs: 0, millraceVersion: '' }
    await expect(runBackup(settings, SILENT)).rejects.toThrow(ServerGone)
    expect(readdirSync(target)).not.toContain('manifest.json')
  })

  it('replaces what has changed in the folder, in files of other names', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    const { manifest } = await backUp(world, target)
    const [first, second] = manifest.files
    if (first === undefined || second === undefined) throw new Error('too few files')
    flipByte(join(target, first.stored), 100)
    truncateSync(join(target, second.stored), 10)
    const again = await backUp(world, target)
    expect(again.manifest.files[0]?.stored).toBe('blocks/0000000001.2.blk')
    expect(storedIn(target)).toEqual(again.manifest.files.map(({ stored }) => stored).sort())
    expect(await restoredContents(target)).toEqual(await world.contents())
  })
})

describe('a backup is refused', () => {
  it('where no server is', async () => {
    const dataDir = newFolder()
    const target = join(newFolder(), 'backup')
    const settings = { target, dataDir, retryForMs: 20_000, millraceVersion: '' }
    await expect(runBackup(settings, SILENT)).rejects.toThrow(Unreachable)
    expect(() => readdirSync(target)).toThrow('ENOENT')
  })

  it('into a folder that is not a backup, which stays as it is', async () => {
    const world = await filledWorld()
    const target = newFolder()
    mkdirSync(join(target, 'photos'))
    await expect(backUp(world, target)).rejects.toThrow(NotABackup)
    await expect(backUp(world, world.dataDir)).rejects.toThrow(NotABackup)
    expect(readdirSync(target)).toEqual(['photos'])
  })

  it('into the backup of another store, the one restored from it included', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    await backUp(world, target)
    const before = await world.contents()
    const dataDir = join(newFolder(), 'restored')
    await restore(target, dataDir)
    const other = await World.open(dataDir)
    await other.append('s/0', 'elsewhere')
    await expect(backUp(other, target)).rejects.toThrow('another store')
    expect(await restoredContents(target)).toEqual(before)
  })

  it('into one with a manifest that is damaged or of a newer format', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    const { manifest } = await backUp(world, target)
    const path = join(target, 'manifest.json')
    writeFileSync(path, formatManifest({ ...manifest, format: 2 }))
    await expect(backUp(world, target)).rejects.toThrow('has format 2; this version reads up to 1')
    writeFileSync(path, formatManifest(manifest).replace('1.2.3', '1.2.4'))
    await expect(backUp(world, target)).rejects.toThrow('its checksum does not match')
    writeFileSync(path, '{"kind":')
    await expect(backUp(world, target)).rejects.toThrow('is damaged')
  })
})

describe('a restore is refused', () => {
  it('of a backup with any file altered, cut short or missing, and names it', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    const { manifest } = await backUp(world, target)
    const dataDir = join(newFolder(), 'restored')
    for (const { stored, bytes } of manifest.files) {
      const path = join(target, stored)
      const whole = readFileSync(path)
      flipByte(path, bytes - 1)
      await expect(restore(target, dataDir)).rejects.toThrow(`${stored} is not what was saved`)
      truncateSync(path, bytes - 1)
      await expect(restore(target, dataDir)).rejects.toThrow(`lacks ${stored} from byte ${bytes - 1} on`)
      writeFileSync(path, whole)
      expect(readdirSync(dataDir)).toEqual(['LOCK'])
    }
    await restore(target, dataDir)
    expect(readdirSync(dataDir)).toContain('FORMAT')
    await expect(restore(target, dataDir)).rejects.toThrow('is a data directory already')
  })

  it('of a manifest that names files elsewhere', async () => {
    const world = await filledWorld()
    const target = join(newFolder(), 'backup')
    const { manifest } = await backUp(world, target)
    for (const stray of [{ name: 'blocks/../../x' }, { stored: '../secret' }, { name: 'FORMAT' }]) {
      const [first, ...rest] = manifest.files
      if (first === undefined) throw new Error('too few files')
      const files = [{ ...first, ...stray }, ...rest]
      writeFileSync(join(target, 'manifest.json'), formatManifest({ ...manifest, files }))
      await expect(restore(target, join(newFolder(), 'r'))).rejects.toThrow('names a file that no backup has')
    }
  })
})
