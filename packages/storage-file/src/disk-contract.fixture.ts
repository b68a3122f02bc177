/** What every disk does, as long as nothing fails: the cases that the real one and the simulated one share. */
import { describe, expect, it } from 'vitest'
import { type Disk, DiskLocked } from './disk.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const text = (read: Uint8Array): string => Buffer.from(read).toString('latin1')

/** Registers the cases; `makeDisk` gives an empty disk that is not locked, with the data directory there. */
export function describeDisk(makeDisk: () => Promise<Disk>): void {
  describe('files', () => {
    it('reads what was written, at its position, and less at the end', async () => {
      const file = await (await makeDisk()).create('one')
      await file.write(0, [bytes('hello '), bytes('world')])
      expect(text(await file.read(0, 11))).toBe('hello world')
      expect(text(await file.read(6, 100))).toBe('world')
      expect(text(await file.read(11, 5))).toBe('')
      expect(text(await file.read(1000, 5))).toBe('')
      expect(text(await file.read(3, 0))).toBe('')
      await file.close()
    })

    it('overwrites in place and fills gaps with zeros', async () => {
      const file = await (await makeDisk()).create('one')
      await file.write(4, [bytes('abcd')])
      await file.write(5, [bytes('X')])
      expect(text(await file.read(0, 10))).toBe('\0\0\0\0aXcd')
      expect(await file.size()).toBe(8)
      await file.close()
    })

    it('writes many pieces in one call, empty ones among them', async () => {
      const file = await (await makeDisk()).create('one')
      const pieces = Array.from({ length: 3000 }, (_, index) => bytes(index % 3 === 0 ? '' : `${index},`))
      await file.write(2, pieces)
      const whole = Buffer.concat(pieces)
      expect(await file.size()).toBe(2 + whole.length)
      expect(whole.equals(await file.read(2, whole.length))).toBe(true)
      await file.write(0, [])
      await file.write(100_000, [bytes('')])
      expect(await file.size()).toBe(2 + whole.length)
      await file.close()
    })

    it('shortens and lengthens with zeros', async () => {
      const file = await (await makeDisk()).create('one')
      await file.write(0, [bytes('abcdef')])
      await file.truncate(3)
      expect(await file.size()).toBe(3)
      await file.truncate(5)
      expect(text(await file.read(0, 10))).toBe('abc\0\0')
      await file.sync()
      await file.close()
    })

    it('refuses positions that are none, and every call once closed', async () => {
      const file = await (await makeDisk()).create('one')
      await expect(file.write(-1, [bytes('a')])).rejects.toThrow(RangeError)
      await expect(file.read(0.5, 1)).rejects.toThrow(RangeError)
      await expect(file.truncate(Number.NaN)).rejects.toThrow(RangeError)
      await file.close()
      await file.close()
      await expect(file.write(0, [bytes('a')])).rejects.toThrow('closed')
      await expect(file.read(0, 1)).rejects.toThrow('closed')
      await expect(file.sync()).rejects.toThrow('closed')
      await expect(file.size()).rejects.toThrow('closed')
    })

    it('gives each opening the same bytes, also when the name is gone', async () => {
      const disk = await makeDisk()
      const first = await disk.create('one')
      const second = await disk.open('one')
      await first.write(0, [bytes('abc')])
      await disk.remove('one')
      expect(text(await second.read(0, 3))).toBe('abc')
      expect(await disk.exists('one')).toBe(false)
      await first.close()
      await second.close()
    })
  })

  describe('names', () => {
    it('creates only what is not there and opens only what is', async () => {
      const disk = await makeDisk()
      await expect(disk.open('one')).rejects.toThrow('one')
      expect(await disk.exists('one')).toBe(false)
      await (await disk.create('one')).close()
      await expect(disk.create('one')).rejects.toThrow('one')
      expect(await disk.exists('one')).toBe(true)
      await (await disk.open('one')).close()
    })

    it('lists a folder, not what is below it, and nothing where there is none', async () => {
      const disk = await makeDisk()
      await disk.makeFolder('sub')
      await disk.makeFolder('sub')
      await (await disk.create('sub/two')).close()
      await (await disk.create('one')).close()
      expect([...(await disk.list(''))].sort()).toEqual(['one', 'sub'])
      expect(await disk.list('sub')).toEqual(['two'])
      expect(await disk.list('none')).toEqual([])
      expect(await disk.exists('sub')).toBe(true)
      await disk.syncFolder('sub')
      await disk.syncFolder('')
    })

    it('renames, replacing what is in the way', async () => {
      const disk = await makeDisk()
      await disk.makeFolder('sub')
      for (const name of ['one', 'two']) {
        const file = await disk.create(`sub/${name}`)
        await file.write(0, [bytes(name)])
        await file.close()
      }
      await disk.rename('sub/one', 'sub/two')
      expect(await disk.list('sub')).toEqual(['two'])
      const file = await disk.open('sub/two')
      expect(text(await file.read(0, 9))).toBe('one')
      await file.close()
      await expect(disk.rename('sub/one', 'sub/three')).rejects.toThrow('sub/one')
    })

    it('removes, also what is not there', async () => {
      const disk = await makeDisk()
      await (await disk.create('one')).close()
      await disk.remove('one')
      await disk.remove('one')
      expect(await disk.list('')).toEqual([])
    })

    it('needs the folder of a file', async () => {
      const disk = await makeDisk()
      await expect(disk.create('sub/one')).rejects.toThrow('sub')
      await expect(disk.syncFolder('sub')).rejects.toThrow('sub')
      await (await disk.create('sub')).close()
      await expect(disk.makeFolder('sub')).rejects.toThrow('is not a folder')
    })

    it.each(['', '.', '..', '../one', 'sub/..', 'sub/../one', '/one', 'sub/', 'a/b/c', 'a\0b', 'a\\b'])(
      'refuses %j',
      async (name) => {
        const disk = await makeDisk()
        await expect(disk.create(name)).rejects.toThrow(RangeError)
        await expect(disk.open(name)).rejects.toThrow(RangeError)
        await expect(disk.exists(name)).rejects.toThrow(RangeError)
        await expect(disk.remove(name)).rejects.toThrow(RangeError)
        await expect(disk.rename('one', name)).rejects.toThrow(RangeError)
        await expect(disk.rename(name, 'one')).rejects.toThrow(RangeError)
      },
    )

    it.each(['..', '../one', '/', 'a/b'])('refuses the folder %j', async (folder) => {
      const disk = await makeDisk()
      await expect(disk.list(folder)).rejects.toThrow(RangeError)
      await expect(disk.makeFolder(folder)).rejects.toThrow(RangeError)
      await expect(disk.syncFolder(folder)).rejects.toThrow(RangeError)
    })
  })

  it('has one owner at a time', async () => {
    const disk = await makeDisk()
    const lock = await disk.lock()
    await expect(disk.lock()).rejects.toThrow(DiskLocked)
    await lock.release()
    await (await disk.lock()).release()
  })
}
