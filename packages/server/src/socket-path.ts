/**
 * Unix sockets in folders whose path is too long for one. The system takes 107 bytes (103 on macOS); on Linux a
 * socket in any folder is reached through the folder's open file: `/proc/self/fd/<number>/<name>`.
 */
import { close, constants, open } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)

const MOST_BYTES = process.platform === 'linux' ? 107 : 103

/** A folder as sockets in it are named. */
export interface SocketFolder {
  /** The path of a socket in the folder, short enough for the system until `release`. */
  pathOf(name: string): string
  release(): Promise<void>
}

/** The path is too long for a socket, and this system knows no other way to it. */
export class SocketPathTooLong extends Error {
  override readonly name = 'SocketPathTooLong'
}

/**
 * Makes a folder usable for sockets whose names have at most `nameBytes` bytes. Throws `SocketPathTooLong`, or the
 * system's error if the folder cannot be opened.
 */
export async function openSocketFolder(folder: string, nameBytes: number): Promise<SocketFolder> {
  const absolute = resolve(folder)
  if (Buffer.byteLength(absolute) + 1 + nameBytes <= MOST_BYTES) {
    return { pathOf: (name) => join(absolute, name), release: () => Promise.resolve() }
  }
  if (process.platform !== 'linux') {
    throw new SocketPathTooLong(
      `${absolute} is too long a path for a socket: ${MOST_BYTES} bytes are allowed, the socket's name included.`,
    )
  }
  const fd = await openFile(absolute, constants.O_RDONLY | constants.O_DIRECTORY)
  let released: Promise<void> | undefined
  return {
    pathOf: (name) => `/proc/self/fd/${fd}/${name}`,
    release() {
      released ??= closeFile(fd)
      return released
    },
  }
}
