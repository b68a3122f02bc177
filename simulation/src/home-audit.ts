/** What must hold of home and block files whenever no transaction is half done. */
import { ownBytes, ownFrom, type StreamState } from '@millrace/protocol'
import { check } from './event-log.ts'
import {
  APPLIED_KEY,
  decodePlace,
  decodeStream,
  decodeUsage,
  decodeUse,
  fileOf,
  type MemoryHome,
  prefixEnd,
  USAGE_KEY,
} from './store-parts.ts'

const ALL = Number.POSITIVE_INFINITY

/** Blocks join up, are counted right, and lie in files that exist. `blockFiles` are the numbers on disk. */
export function auditHome(home: MemoryHome, blockFiles: ReadonlySet<number>): void {
  const live = new Map<number, number>()
  const streams = home.range('s/', prefixEnd('s/'), ALL).map(([, value]) => decodeStream(value))
  auditUsage(
    home,
    streams.map(({ state }) => state),
  )
  let blocks = 0
  for (const { state, stored } of streams) blocks += auditStream(home, state, stored, live)
  const entries = home.range('b/', prefixEnd('b/'), ALL)
  check(
    entries.length === blocks,
    () => `the home names ${entries.length} blocks, but streams have ${blocks}`,
  )
  const due = home.range('d/', prefixEnd('d/'), ALL).length
  const isDue = streams.filter(({ dueAtMs }) => dueAtMs !== undefined).length
  check(due === isDue, () => `the home has ${due} due times for ${isDue} streams`)
  check(
    home.range('i/', prefixEnd('i/'), ALL).length === streams.length,
    () => 'the home names streams that it has not',
  )
  for (const [key, value] of home.range('f/', prefixEnd('f/'), ALL)) {
    const { liveBytes, sizeBytes } = decodeUse(value)
    const file = fileOf(key)
    // A rewrite forgets the file in a transaction of its own, after the one that moved its last blocks out.
    const isMovedOut = !live.has(file)
    check(
      isMovedOut || liveBytes === live.get(file),
      () => `block file ${file}: ${liveBytes} bytes live, ${live.get(file) ?? 0} named`,
    )
    check(sizeBytes >= liveBytes, () => `block file ${file} has more live bytes than bytes`)
    live.delete(file)
    check(
      isMovedOut || liveBytes === 0 || blockFiles.has(file),
      () => `block file ${file} has live bytes, but does not exist`,
    )
  }
  check(live.size === 0, () => `block files without a use: ${[...live.keys()].join(', ')}`)
}

/** The count is in every transaction that changes what is counted, so it is right between any two. */
function auditUsage(home: MemoryHome, states: readonly StreamState[]): void {
  const value = home.get(USAGE_KEY)
  if (value === undefined) {
    check(states.length === 0, () => 'the home has streams, but no count of them')
    return
  }
  const counted = decodeUsage(value)
  const live = states.filter(({ softDeleted }) => !softDeleted)
  const bytes = live.reduce((sum, state) => sum + ownBytes(state), 0)
  check(
    counted.streams === live.length && counted.bytes === bytes,
    () =>
      `the home counts ${counted.streams} streams of ${counted.bytes} bytes, but has ${live.length} of ${bytes}`,
  )
}

function auditStream(
  home: MemoryHome,
  state: StreamState,
  stored: number,
  live: Map<number, number>,
): number {
  const prefix = `b/${state.id}/`
  let at = ownFrom(state)
  let count = 0
  for (const [key, value] of home.range(prefix, prefixEnd(prefix), ALL)) {
    const place = decodePlace(value)
    check(place.from === at, () => `${key}: block begins at ${place.from}, not at ${at}`)
    at = place.to
    count++
    live.set(place.file, (live.get(place.file) ?? 0) + place.sizeBytes)
  }
  check(at === stored, () => `${state.path}: blocks to ${at}, but stored to ${stored}`)
  return count
}

/** The journal position the home holds. */
export function appliedIn(home: MemoryHome): number {
  const value = home.get(APPLIED_KEY)
  return value === undefined ? 0 : Number(Buffer.from(value).toString())
}

/** Nothing is left of streams once all are deleted. */
export function auditEmpty(home: MemoryHome): void {
  for (const prefix of ['s/', 'i/', 'b/', 'd/']) {
    const [left] = home.range(prefix, prefixEnd(prefix), 1)
    check(left === undefined, () => `everything is deleted, but the home has ${left?.[0]}`)
  }
  for (const [key, value] of home.range('f/', prefixEnd('f/'), ALL)) {
    check(decodeUse(value).liveBytes === 0, () => `everything is deleted, but ${key} has live bytes`)
  }
}
