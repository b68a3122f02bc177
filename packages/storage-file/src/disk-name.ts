/** Names on the disk port: what they may be, whichever disk they are for. */

const PART = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/

/** Throws unless a name is a plain name, or a folder and a plain name: none leads out of the data directory. */
export function assertDiskName(name: string): void {
  const parts = name.split('/')
  if (parts.length > 2 || !parts.every((part) => PART.test(part))) {
    throw new RangeError(`${JSON.stringify(name)} is not a name below the data directory`)
  }
}

/** Throws unless a folder is the data directory itself, `''`, or a plain name. */
export function assertDiskFolder(folder: string): void {
  if (folder !== '' && !PART.test(folder)) {
    throw new RangeError(`${JSON.stringify(folder)} is not a folder of the data directory`)
  }
}

/** Throws unless a number can be a position or a length in a file. */
export function assertFileSize(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a position in a file`)
}

/** The folder of a name, `''` for the data directory itself, and the name in it. */
export function splitDiskName(name: string): readonly [folder: string, plain: string] {
  const slash = name.indexOf('/')
  return slash < 0 ? ['', name] : [name.slice(0, slash), name.slice(slash + 1)]
}
