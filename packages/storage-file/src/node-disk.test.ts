import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Disk, DiskFull } from './disk.ts'
import { describeDisk } from './disk-contract.fixture.ts'
import { nodeDisk } from './node-disk.ts'
import { makeTestFolder } from './test-child.fixture.ts'

const folders: ReturnType<typeof makeTestFolder>[] = []

function newFolder(): string {
  const folder = makeTestFolder()
  folders.push(folder)
  return folder.path
}

afterAll(() => {
  for (const folder of folders) folder.remove()
})

describeDisk(async () => nodeDisk(newFolder()))

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

describe('a data directory', () => {
  it('is made with the lock, and every folder above it, for its owner only', async () => {
    const above = newFolder()
    const disk = nodeDisk(join(above, 'a', 'b'))
    const lock = await disk.lock()
    await disk.makeFolder('sub')
    await (await disk.create('sub/one')).close()
    const paths = ['a', 'a/b', 'a/b/sub', 'a/b/LOCK', 'a/b/sub/one']
    expect(paths.map((path) => modeOf(join(above, path)))).toEqual(['700', '700', '700', '600', '600'])
    await lock.release()
  })

  it('that is a file is refused', async () => {
    const path = join(newFolder(), 'file')
    writeFileSync(path, '')
    await expect(nodeDisk(path).lock()).rejects.toThrow(path)
  })

  it('that is missing is not made by looking into it', async () => {
    const path = join(newFolder(), 'missing')
    expect(await nodeDisk(path).list('')).toEqual([])
    expect(await nodeDisk(path).exists('one')).toBe(false)
    await expect(nodeDisk(path).create('one')).rejects.toThrow('ENOENT')
  })
})

/** A disk with one file that never has room. */
function fullDisk(): Disk {
  const path = newFolder()
  symlinkSync('/dev/full', join(path, 'full'))
  return nodeDisk(path)
}

describe('a write that the system refuses', () => {
  it('rejects with DiskFull where there is no room, and the file can be used on', async () => {
    const file = await fullDisk().open('full')
    const one = file.write(0, [Buffer.from('a')])
    await expect(one).rejects.toThrow(DiskFull)
    await expect(one).rejects.toMatchObject({ cause: { code: 'ENOSPC' } })
    await expect(file.write(0, [Buffer.from('a'), Buffer.from('b')])).rejects.toThrow(DiskFull)
    expect((await file.read(0, 2)).length).toBe(2)
    await file.close()
  })

  it('rejects with the reason and the name otherwise', async () => {
    const path = newFolder()
    writeFileSync(join(path, 'one'), '')
    mkdirSync(join(path, 'sub'))
    const disk = nodeDisk(path)
    await expect(disk.open('sub')).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(disk.rename('one', 'sub')).rejects.toMatchObject({ code: 'EISDIR' })
  })

  it('rejects after a failed sync, and so does every later sync', async () => {
    // Pipes and devices cannot be synced: the one failure of a sync that needs no broken disk.
    const file = await fullDisk().open('full')
    const failed = file.sync()
    await expect(failed).rejects.toMatchObject({ cause: { code: 'EINVAL' } })
    await expect(file.write(0, [Buffer.from('a')])).rejects.toThrow('an earlier sync failed')
    await expect(file.sync()).rejects.toThrow('an earlier sync failed')
    await expect(file.truncate(0)).rejects.toThrow('an earlier sync failed')
    expect((await file.read(0, 1)).length).toBe(1)
    await file.close()
  })
})

describe('closing a file', () => {
  it('waits for what is under way, so that its number cannot become that of another file meanwhile', async () => {
    const disk = nodeDisk(newFolder())
    const file = await disk.create('one')
    const piece = Buffer.alloc(1024 * 1024, 1)
    const done: string[] = []
    const writes = Array.from({ length: 20 }, (_, index) =>
      file.write(index * piece.length, [piece]).then(() => done.push('write')),
    )
    const closing = file.close().then(() => done.push('close'))
    await Promise.all([...writes, closing])
    expect(done).toEqual([...Array.from({ length: 20 }, () => 'write'), 'close'])
    const again = await disk.open('one')
    expect(await again.size()).toBe(20 * piece.length)
    await again.close()
  })

  it('leaves no open file behind', async () => {
    const disk = nodeDisk(newFolder())
    const before = readdirSync('/proc/self/fd').length
    for (let round = 0; round < 50; round++) {
      const file = await disk.create(`file-${round}`)
      await file.write(0, [Buffer.from('a')])
      await file.sync()
      await disk.syncFolder('')
      await file.close()
      await (await disk.lock()).release()
    }
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 10)
  })
})
