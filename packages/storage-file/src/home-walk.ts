/** Reads a home of which nothing is certain: in order, a page at a time, past values that are damaged. */
import type { StreamPath } from '@millrace/protocol'
import { type CheckReport, inFile, RESTORE } from './finding.ts'
import { HomeCorrupt, type ReadableHome } from './home.ts'
import { keyAfter, streamKey } from './home-keys.ts'
import { decodeStream, type StoredStream } from './state-codec.ts'

/** The home's file in a data directory. */
export const HOME_FILE = 'home/data.mdb'

/** A home without entries, for a directory whose first start did not get far enough to make one. */
export const EMPTY_HOME: ReadableHome = { get: () => undefined, range: () => [], entryCount: 0 }

/** Looked up: a value, nothing, or something that is reported elsewhere because it is damaged. */
export type Looked<T> =
  | { readonly kind: 'found'; readonly value: T }
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged' }

const PAGE = 256
const DAMAGED = 'damaged'

/** Looks up one key. What is damaged is reported by the walk that comes to it. */
export function look(home: ReadableHome, key: string): Looked<Uint8Array> {
  try {
    const value = home.get(key)
    return value === undefined ? { kind: 'missing' } : { kind: 'found', value }
  } catch (error) {
    if (error instanceof HomeCorrupt) return { kind: DAMAGED }
    throw error
  }
}

/** Looks up a stream by its path. */
export function lookUpStream(home: ReadableHome, path: StreamPath): Looked<StoredStream> {
  const looked = look(home, streamKey(path))
  return looked.kind === 'found' ? { kind: 'found', value: decodeStream(looked.value) } : looked
}

type Entry = readonly [key: string, value: Uint8Array]

/** Every entry from `from` to before `to`, in order; the damaged ones are reported and left out. */
export async function* walkHome(
  home: ReadableHome,
  from: string,
  to: string,
  report: CheckReport,
): AsyncIterableIterator<Entry> {
  let start = from
  let limit = PAGE
  for (;;) {
    const page = readPage(home, start, to, limit)
    if (page.kind === 'unreadable') {
      report.find(unreadable(start))
      return
    }
    if (page.kind === DAMAGED) {
      // The others of the page are there: they are read one by one, up to the damaged one and past it.
      if (limit > 1) {
        limit = 1
        continue
      }
      report.find(damagedValue(page.key))
      if (page.key < start || !isPlain(page.key)) {
        report.find(unreadable(start))
        return
      }
      start = keyAfter(page.key)
      limit = PAGE
      continue
    }
    for (const entry of page.entries) {
      if (entry[0] < start) {
        report.find(unreadable(start))
        return
      }
      yield entry
      start = keyAfter(entry[0])
    }
    await report.progress(0)
    if (page.entries.length < limit) return
  }
}

type Page =
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'damaged'; readonly key: string }
  | { readonly kind: 'unreadable' }

function readPage(home: ReadableHome, from: string, to: string, limit: number): Page {
  try {
    return { kind: 'entries', entries: home.range(from, to, limit) }
  } catch (error) {
    if (!(error instanceof HomeCorrupt)) throw error
    // With a cause it is the database that gave up, without one it is a value that has been read.
    return error.cause === undefined ? { kind: DAMAGED, key: error.key } : { kind: 'unreadable' }
  }
}

function isPlain(key: string): boolean {
  return /^[\x20-\x7e]+$/.test(key)
}

function damagedValue(key: string): Parameters<CheckReport['find']>[0] {
  return {
    severity: 'error',
    where: inFile(HOME_FILE),
    what: `The entry ${JSON.stringify(key)} of the home is damaged.`,
    whatToDo: RESTORE,
  }
}

function unreadable(key: string): Parameters<CheckReport['find']>[0] {
  return {
    severity: 'error',
    where: inFile(HOME_FILE),
    what: `The home cannot be read in order from ${JSON.stringify(key)} on.`,
    whatToDo: RESTORE,
  }
}
