/** Journal segments that go before what is in them is in the home. */
import { areRecords } from './journal-bytes.ts'
import { wrapDisk, wrapFiles, wrapHome } from './port-wrap.ts'
import type { Sabotage } from './sabotage.ts'
import { type Disk, JOURNAL_FOLDER, segmentNumber } from './store-parts.ts'

interface NamedFile {
  name: string
}

/** Removes every segment but the one that is being written whenever the home is about to change. */
export function hastyRetirement(): Sabotage {
  const gone = new Set<string>()
  let newest: NamedFile | undefined
  let current: NamedFile | undefined
  return {
    disk: (disk) => {
      gone.clear()
      current = undefined
      const watched = wrapFiles(disk, JOURNAL_FOLDER, (file, name) => {
        const named: NamedFile = { name }
        newest = named
        return {
          write: (position, pieces) => {
            if (areRecords(position, pieces)) current = named
            return file.write(position, pieces)
          },
        }
      })
      return wrapDisk(watched, {
        rename: async (from, to) => {
          // The store retires it later; it has become nobody's spare.
          if (gone.has(from)) return
          await disk.rename(from, to)
          if (newest?.name === from) newest.name = to
        },
      })
    },
    home: (home, disk) =>
      wrapHome(home, {
        commit: async (changes) => {
          if (current !== undefined) await removeBefore(disk, current.name, gone)
          await home.commit(changes)
        },
      }),
  }
}

async function removeBefore(disk: Disk, current: string, gone: Set<string>): Promise<void> {
  for (const plain of await disk.list(JOURNAL_FOLDER)) {
    const name = `${JOURNAL_FOLDER}/${plain}`
    if (segmentNumber(plain) === undefined || name >= current) continue
    gone.add(name)
    await disk.remove(name)
  }
}
