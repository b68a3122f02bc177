/** The ports of a store with some of their calls replaced. */
import type { Disk, DiskFile, Home } from './store-parts.ts'

/** A disk whose calls do something else where `changed` says so. */
export function wrapDisk(disk: Disk, changed: Partial<Disk>): Disk {
  return {
    create: (name) => disk.create(name),
    open: (name) => disk.open(name),
    exists: (name) => disk.exists(name),
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    rename: (from, to) => disk.rename(from, to),
    remove: (name) => disk.remove(name),
    syncFolder: (folder) => disk.syncFolder(folder),
    bootId: () => disk.bootId(),
    lock: () => disk.lock(),
    ...changed,
  }
}

/** A disk whose files in a folder do something else. `change` is asked once for each file that is opened. */
export function wrapFiles(
  disk: Disk,
  folder: string,
  change: (file: DiskFile, name: string) => Partial<DiskFile>,
): Disk {
  const wrapped = async (opened: Promise<DiskFile>, name: string): Promise<DiskFile> => {
    const file = await opened
    return name.startsWith(`${folder}/`) ? wrapFile(file, change(file, name)) : file
  }
  return wrapDisk(disk, {
    create: (name) => wrapped(disk.create(name), name),
    open: (name) => wrapped(disk.open(name), name),
  })
}

/** A home whose calls do something else where `changed` says so. */
export function wrapHome(home: Home, changed: Partial<Home>): Home {
  return {
    get: (key) => home.get(key),
    range: (from, to, limit) => home.range(from, to, limit),
    commit: (changes) => home.commit(changes),
    close: () => home.close(),
    ...changed,
  }
}

function wrapFile(file: DiskFile, changed: Partial<DiskFile>): DiskFile {
  return {
    write: (position, pieces) => file.write(position, pieces),
    read: (position, length) => file.read(position, length),
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    size: () => file.size(),
    close: () => file.close(),
    ...changed,
  }
}
