/**
 * The lock of `node-lock.ts` on Bun, by the same system calls as the addon's, so that a process on Node and one on
 * Bun keep each other out: locks of the open file (`F_OFD_SETLK`) on Linux, `flock` elsewhere.
 */
import type { Pointer } from 'bun:ffi'

const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
const F_WRLCK = 1
const F_UNLCK = 2
const LOCK_EX = 2
const LOCK_NB = 4
/** `struct flock` with 64-bit offsets: type at 0, whence at 2, start at 8, length at 16, process at 24. */
const FLOCK_BYTES = 32

const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  linux: ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`],
  darwin: ['libSystem.B.dylib'],
}

/** Locks a file for this open file; false if another open file has it. Throws if it cannot be locked at all. */
export async function tryLockOnBun(fd: number): Promise<boolean> {
  return process.platform === 'linux' ? lockOpenFile(fd) : flockFile(fd)
}

async function lockOpenFile(fd: number): Promise<boolean> {
  const { ptr } = await import('bun:ffi')
  const fcntl = await loadFunction('fcntl', ['i32', 'i32', 'ptr'])
  const request = Buffer.alloc(FLOCK_BYTES)
  request.writeInt16LE(F_WRLCK, 0)
  if (fcntl(fd, F_OFD_SETLK, ptr(request)) === 0) return true
  // The error's number cannot be read reliably from here; whether somebody is in the way can be asked.
  if (fcntl(fd, F_OFD_GETLK, ptr(request)) === 0 && request.readInt16LE(0) !== F_UNLCK) return false
  throw new Error('the file system of the data directory cannot lock files')
}

async function flockFile(fd: number): Promise<boolean> {
  const flock = await loadFunction('flock', ['i32', 'i32'])
  return flock(fd, LOCK_EX | LOCK_NB) === 0
}

async function loadFunction(
  name: string,
  args: readonly ('i32' | 'ptr')[],
): Promise<(...args: readonly (number | Pointer)[]) => number> {
  const { dlopen } = await import('bun:ffi')
  const failures: unknown[] = []
  for (const library of LIBRARIES[process.platform] ?? []) {
    try {
      return dlopen(library, { [name]: { args, returns: 'i32' } }).symbols[name] ?? fail(name)
    } catch (error) {
      failures.push(error)
    }
  }
  throw new AggregateError(
    failures,
    `Bun on ${process.platform} has no ${name} to lock the data directory with`,
  )
}

function fail(name: string): never {
  throw new Error(`${name} was not loaded`)
}
