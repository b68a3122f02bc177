/**
 * One owner for a folder, by a lock of the operating system on a file in it: it dies with the process, however that
 * ends, and holds while the process is stopped. Locks by age, socket or process number let two owners in.
 */
import { close, ftruncate, open, readFileSync, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type DiskLock, DiskLocked } from './disk.ts'

const LOCK_FILE = 'LOCK'

const openFile = promisify(open)
const closeFile = promisify(close)
const truncateFile = promisify(ftruncate)
const writeFile = promisify(write)

/**
 * Takes a folder until `release` or the end of the process. Throws `DiskLocked`, naming the owner's process number
 * when it can, if a process owns it, this one included: the lock belongs to the open file, not to the process. The
 * file stays when the lock is gone; removing it would let two owners lock two files of one name.
 */
export async function lockFolder(folder: string): Promise<DiskLock> {
  const path = join(folder, LOCK_FILE)
  const fd = await openFile(path, 'a+', 0o600)
  try {
    if (!(await tryLock(fd))) throw new DiskLocked(`${folder} is in use by ${ownerIn(path)}.`)
    await truncateFile(fd, 0)
    await writeFile(fd, Buffer.from(`${process.pid}\n`))
  } catch (error) {
    await closeFile(fd)
    throw error
  }
  return releaseOf(fd)
}

/**
 * Takes a file that is there, in the same way. For one that nobody removes: somebody who takes the lock file for a
 * leftover and removes it would otherwise let a second owner in.
 */
export async function lockFile(path: string): Promise<DiskLock> {
  const fd = await openFile(path, 'r+')
  if (await tryLock(fd)) return releaseOf(fd)
  await closeFile(fd)
  throw new DiskLocked(`${path} is in use by another process.`)
}

function releaseOf(fd: number): DiskLock {
  let isHeld = true
  return {
    release: async () => {
      if (!isHeld) return
      isHeld = false
      await closeFile(fd)
    },
  }
}

/** On Bun the addon ends the process: it calls a function of libuv that Bun does not have. */
async function tryLock(fd: number): Promise<boolean> {
  if (process.versions.bun !== undefined) return (await import('./bun-lock.ts')).tryLockOnBun(fd)
  return (await import('fs-native-extensions')).tryLock(fd)
}

/** The number is for the sentence only: it may be of an owner before the present one that is about to write its own. */
function ownerIn(path: string): string {
  const pid = /^[0-9]+/.exec(readFileSync(path, 'latin1'))?.[0]
  return pid === undefined ? 'another process' : `process ${pid}`
}
