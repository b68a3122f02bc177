import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DiskLocked } from './disk.ts'
import { nodeDisk } from './node-disk.ts'
import { makeTestFolder, RUNTIMES, type Runtime, startChild, type TestChild } from './test-child.fixture.ts'

const script = new URL('./lock-child.fixture.ts', import.meta.url)

let folder: ReturnType<typeof makeTestFolder>
let children: TestChild[] = []

beforeEach(() => {
  folder = makeTestFolder()
})

afterEach(async () => {
  for (const child of children) child.signal('SIGKILL')
  await Promise.all(children.map(({ ended }) => ended))
  children = []
  folder.remove()
})

async function startOwner(runtime: Runtime): Promise<TestChild> {
  const child = await startChild(runtime, script, [folder.path])
  children.push(child)
  return child
}

async function kill(child: TestChild): Promise<void> {
  child.signal('SIGKILL')
  await child.ended
  children = children.filter((other) => other !== child)
}

describe.each(RUNTIMES)('a data directory that a process on %s owns', (runtime) => {
  it('is refused to others, with the number of its owner', async () => {
    const owner = await startOwner(runtime)
    expect(await owner.line(0)).toBe('locked')
    const attempt = nodeDisk(folder.path).lock()
    await expect(attempt).rejects.toThrow(DiskLocked)
    await expect(attempt).rejects.toThrow(`${folder.path} is in use by process ${owner.pid}.`)
  })

  it('is refused to a process on the other runtime', async () => {
    const owner = await startOwner(runtime)
    expect(await owner.line(0)).toBe('locked')
    const other = await startOwner(runtime === 'node' ? 'bun' : 'node')
    expect(await other.line(0)).toBe(`DiskLocked: ${folder.path} is in use by process ${owner.pid}.`)
  })

  it('stays its own while it is stopped', async () => {
    const owner = await startOwner(runtime)
    await owner.line(0)
    owner.signal('SIGSTOP')
    await expect(nodeDisk(folder.path).lock()).rejects.toThrow(DiskLocked)
    owner.signal('SIGCONT')
    await expect(nodeDisk(folder.path).lock()).rejects.toThrow(DiskLocked)
  })

  it('is free once it was killed', async () => {
    const owner = await startOwner(runtime)
    await owner.line(0)
    await kill(owner)
    const lock = await nodeDisk(folder.path).lock()
    expect(readFileSync(join(folder.path, 'LOCK'), 'utf8')).toBe(`${process.pid}\n`)
    await lock.release()
  })

  it('is free once it was killed while stopped', async () => {
    const owner = await startOwner(runtime)
    await owner.line(0)
    owner.signal('SIGSTOP')
    await kill(owner)
    await (await nodeDisk(folder.path).lock()).release()
    expect(existsSync(join(folder.path, 'LOCK'))).toBe(true)
  })
})

describe('a data directory that this process owns', () => {
  it('is refused to this process too, under any path, until it is released', async () => {
    const lock = await nodeDisk(folder.path).lock()
    const again = nodeDisk(`${folder.path}/../${folder.path.split('/').at(-1)}`)
    await expect(again.lock()).rejects.toThrow(`is in use by process ${process.pid}.`)
    await lock.release()
    await lock.release()
    const second = await again.lock()
    await expect(nodeDisk(folder.path).lock()).rejects.toThrow(DiskLocked)
    await second.release()
  })

  it('keeps its lock when a refused attempt has ended', async () => {
    const lock = await nodeDisk(folder.path).lock()
    await expect(nodeDisk(folder.path).lock()).rejects.toThrow(DiskLocked)
    const other = await startOwner('node')
    expect(await other.line(0)).toContain('DiskLocked')
    await lock.release()
  })
})
