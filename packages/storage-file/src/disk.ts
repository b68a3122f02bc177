/**
 * The disk port: all file access of the store goes through it, so that a simulation can fail, tear, reorder, forget
 * or refuse any of it. Names are relative to the data directory, with `/` between folder and file; folders are one
 * level deep.
 */

/** One open file. Positions are absolute; there is no cursor. */
export interface DiskFile {
  /** Writes all pieces, one after the other, from a position on. May be torn by a crash until `sync` resolved. */
  write(position: number, pieces: readonly Uint8Array[]): Promise<void>
  /** Reads up to `length` bytes; fewer only at the end of the file. Off the main thread. */
  read(position: number, length: number): Promise<Uint8Array>
  /** Makes all bytes written so far, and the file's length, survive a power cut. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** The data directory. */
export interface Disk {
  /** Creates a file that must not exist. Survives a power cut only after `sync` and `syncFolder`. */
  create(name: string): Promise<DiskFile>
  /** Opens a file that must exist. */
  open(name: string): Promise<DiskFile>
  exists(name: string): Promise<boolean>
  /** Names in a folder (not nested), in no order; `''` is the data directory itself. Empty if it does not exist. */
  list(folder: string): Promise<readonly string[]>
  /** Creates a folder and its entry; harmless if it exists. */
  makeFolder(folder: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Harmless if the file does not exist. */
  remove(name: string): Promise<void>
  /** Makes creations, renames and removals in a folder survive a power cut. */
  syncFolder(folder: string): Promise<void>
  /**
   * Names the time since the machine was last started, or `undefined` where that is not known: while it is the same,
   * what was written is there, synced or not.
   */
  bootId(): Promise<string | undefined>
  /** Takes the data directory for this process until `release` or the process's end; throws `DiskLocked`. */
  lock(): Promise<DiskLock>
}

/** Ownership of a data directory. */
export interface DiskLock {
  release(): Promise<void>
}

/** There is no room: nothing, or only a part that is never looked at, was written. */
export class DiskFull extends Error {
  override readonly name = 'DiskFull'
}

/** Another process owns the data directory. */
export class DiskLocked extends Error {
  override readonly name = 'DiskLocked'
}
