/** Ways in which a store could be broken, each done to it from outside. The checks must notice every one. */

import { hastyHome } from './hasty-home.ts'
import { hastyRetirement } from './hasty-retirement.ts'
import { areRecords, type MetaRows, withLastTwice, withRows, withTornMended } from './journal-bytes.ts'
import { wrapDisk, wrapFiles } from './port-wrap.ts'
import { READER_BREAKS } from './reader-breaks.ts'
import type { Sabotage } from './sabotage.ts'
import { BLOCK_FOLDER, type Disk, type DiskFile, JOURNAL_FOLDER } from './store-parts.ts'

/** One way to break a store. */
export interface Break {
  readonly name: string
  readonly what: string
  /** What a check says that has noticed this, and not only something that comes with it. */
  readonly sign: RegExp
  /** Anew for each run. */
  make(): Sabotage
}

/** All of them. */
export const BREAKS: readonly Break[] = [
  {
    name: 'journal-sync-skipped',
    what: 'records are not synced before their commits are answered',
    sign: /record [0-9]+ .* is damaged|no state that it can be/,
    make: () => ({ disk: (disk) => wrapFiles(disk, JOURNAL_FOLDER, unsyncedRecords) }),
  },
  {
    name: 'journal-synced-beside',
    what: 'a segment is synced by two at the same time',
    sign: /two syncs of journal/,
    make: () => ({ disk: (disk) => wrapFiles(disk, JOURNAL_FOLDER, syncedByTwo) }),
  },
  {
    name: 'answer-before-write',
    what: 'a commit is answered while its record still has to be written',
    sign: /no state that it can be/,
    make: () => ({ disk: (disk) => wrapFiles(disk, JOURNAL_FOLDER, lateRecords) }),
  },
  {
    name: 'producer-dropped',
    what: 'records do not say which producer wrote',
    sign: /no state that it can be/,
    make: () => ({ disk: (disk) => withWrittenRows(disk, withoutProducers) }),
  },
  {
    name: 'segment-retired-early',
    what: 'journal segments go while the home is still being written',
    sign: /record [0-9]+ follows record [0-9]+/,
    make: hastyRetirement,
  },
  {
    name: 'folder-sync-skipped',
    what: 'folders are never synced',
    sign: /no state that it can be|there is no blocks/,
    make: () => ({ disk: (disk) => wrapDisk(disk, { syncFolder: async () => undefined }) }),
  },
  {
    name: 'home-flush-skipped',
    what: 'a change of the home counts before it is flushed',
    sign: /no state that it can be|No block of stream|is damaged|follows record/,
    make: () => ({ home: hastyHome }),
  },
  {
    name: 'block-sync-skipped',
    what: 'blocks are not synced before the home names them',
    sign: /^Fault: Bytes .* of the stream are damaged/,
    make: () => ({
      disk: (disk) => wrapFiles(disk, BLOCK_FOLDER, () => ({ sync: async () => undefined })),
    }),
  },
  {
    name: 'torn-record-accepted',
    what: 'recovery takes a torn record for a whole one',
    sign: / holds\n/,
    make: () => ({ disk: (disk) => withReadSegments(disk, withTornMended) }),
  },
  {
    name: 'record-replayed-twice',
    what: 'recovery appends the bytes of the last record again, at offsets that are given anew later',
    sign: /no state that it can be/,
    make: () => ({ disk: (disk) => withReadSegments(disk, withLastTwice) }),
  },
  {
    name: 'deletion-lost',
    what: 'records of soft deletions and purges say nothing',
    sign: /no state that it can be/,
    make: () => ({ disk: (disk) => withWrittenRows(disk, withoutDeletions) }),
  },
  ...READER_BREAKS,
]

function unsyncedRecords(file: DiskFile): Partial<DiskFile> {
  let hasRecords = false
  return {
    write: (position, pieces) => {
      hasRecords ||= areRecords(position, pieces)
      return file.write(position, pieces)
    },
    sync: async () => (hasRecords ? undefined : file.sync()),
  }
}

function syncedByTwo(file: DiskFile): Partial<DiskFile> {
  return {
    sync: async () => {
      await Promise.any([file.sync(), file.sync()])
    },
  }
}

function lateRecords(file: DiskFile): Partial<DiskFile> {
  const late: Promise<void>[] = []
  return {
    write: async (position, pieces) => {
      if (!areRecords(position, pieces)) return file.write(position, pieces)
      // A crash, or a failure that nobody hears of, may end it.
      late.push(file.write(position, [Buffer.concat(pieces)]).catch(() => undefined))
    },
    close: async () => {
      await Promise.all(late)
      await file.close()
    },
  }
}

function withWrittenRows(disk: Disk, change: (rows: MetaRows) => MetaRows): Disk {
  return wrapFiles(disk, JOURNAL_FOLDER, (file) => ({
    write: (position, pieces) =>
      file.write(position, areRecords(position, pieces) ? [withRows(Buffer.concat(pieces), change)] : pieces),
  }))
}

function withReadSegments(disk: Disk, change: (segment: Buffer) => Buffer): Disk {
  return wrapFiles(disk, JOURNAL_FOLDER, (file) => ({
    read: async (position, length) => change(Buffer.from(await file.read(position, length))),
  }))
}

const PRODUCER_AT = 9
const EVENTS_AT = 8

function withoutProducers(rows: MetaRows): MetaRows {
  return rows.map((row) => {
    if (row[0] === 'a') return replaced(row, PRODUCER_AT, 0)
    if (row[0] !== 'e') return row
    return replaced(
      row,
      EVENTS_AT,
      eventsOf(row).map(({ producer: _, ...event }) => event),
    )
  })
}

function withoutDeletions(rows: MetaRows): MetaRows {
  const deletes = rows.some(
    (row) => row[0] === 'e' && eventsOf(row).some(({ kind }) => kind === 'soft-deleted' || kind === 'purged'),
  )
  return deletes ? [] : rows
}

function replaced(row: readonly unknown[], at: number, value: unknown): readonly unknown[] {
  return row.map((one, index) => (index === at ? value : one))
}

function eventsOf(row: readonly unknown[]): readonly Record<string, unknown>[] {
  const events = row[EVENTS_AT]
  return Array.isArray(events) ? events : []
}
