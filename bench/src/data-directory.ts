/** Temporary data directories of the servers that are measured, and which disk they are on. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { UsageError } from './usage-error.ts'

const made = new Set<string>()
process.on('exit', () => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true })
})

/** A new directory below `root` (the system's temporary directory unless given); it goes with this process. */
export function makeDirectory(root: string = tmpdir()): string {
  const directory = mkdtempSync(join(resolve(root), 'millrace-bench-'))
  made.add(directory)
  return directory
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
  made.delete(directory)
}

/** Where a directory is kept. */
export interface FileSystem {
  readonly type: string
  readonly device: string
}

/** File systems whose files are in memory: a sync costs nothing there. */
const IN_MEMORY = new Set(['tmpfs', 'ramfs', 'devtmpfs'])

export function fileSystemOf(path: string): FileSystem {
  const wanted = resolve(path)
  let found: { mount: string; system: FileSystem } | undefined
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [device = '', mount = '', type = ''] = line.split(' ')
    const holds = mount !== '' && (wanted === mount || wanted.startsWith(mount.replace(/\/?$/, '/')))
    if (holds && mount.length >= (found?.mount.length ?? 0)) found = { mount, system: { type, device } }
  }
  return found?.system ?? { type: 'unknown', device: 'unknown' }
}

/** The disk that figures of a durable store are about; throws a `UsageError` if the directory is in memory. */
export function describeDisk(root: string = tmpdir()): string {
  const { type, device } = fileSystemOf(root)
  if (IN_MEMORY.has(type)) {
    throw new UsageError(
      `${root} is in memory (${type}): name a directory on a disk with --data-root, or nothing is synced`,
    )
  }
  return `${type} on ${device}`
}

/** What files take. */
export interface Space {
  /** As `ls` says. */
  readonly apparentBytes: number
  /** As `du` says. */
  readonly allocatedBytes: number
}

const BLOCK_BYTES = 512

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Space of all files below a directory. */
export function spaceOf(directory: string): Space {
  let apparentBytes = 0
  let allocatedBytes = 0
  for (const path of filesBelow(directory)) {
    const { size, blocks } = statSync(path)
    apparentBytes += size
    allocatedBytes += blocks * BLOCK_BYTES
  }
  return { apparentBytes, allocatedBytes }
}

/** Bytes of the files of a folder up to the last one that is not zero: what was written of preallocated files. */
export function writtenBytes(directory: string): number {
  let sum = 0
  for (const path of filesBelow(directory)) {
    const bytes = readFileSync(path)
    let end = bytes.length
    while (end > 0 && bytes[end - 1] === 0) end -= 1
    sum += end
  }
  return sum
}

/** Makes the system forget what it keeps of files in memory. Needs root. */
export function dropPageCache(): void {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
  } catch (cause) {
    throw new UsageError(
      `only root can empty the page cache: leave the cold reads out with --cold no (${cause})`,
    )
  }
}
