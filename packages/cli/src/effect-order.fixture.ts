/**
 * The order of effects that FORMAT.md promises, checked on the system calls of a real server: what is durable before
 * what. Pure: calls in, broken promises out.
 */
import { namesIn, type SystemCall } from './system-calls.fixture.ts'

/** An append that a client saw acknowledged: bytes that occur nowhere else, and the offset of its answer. */
export interface Acknowledged {
  readonly marker: string
  readonly nextOffset: string
}

/** What the rules found, and how often each had something to look at. */
export interface OrderReport {
  readonly violations: readonly string[]
  readonly seen: {
    readonly answers: number
    /** Answers that were given before the bytes were synced; `file-fast` only. */
    readonly earlyAnswers: number
    readonly homeFlushes: number
    readonly newBlockFiles: number
    readonly retiredSegments: number
    readonly newSegments: number
  }
}

/** Checks a whole trace. Writes, syncs, renames and removals of the data directory and of sockets have to be in it. */
export function checkEffectOrder(
  calls: readonly SystemCall[],
  acknowledged: readonly Acknowledged[],
  durability: 'file-durable' | 'file-fast',
): OrderReport {
  const trace = new Trace(calls)
  const answers = checkAnswers(trace, acknowledged, durability)
  const flushes = checkHome(trace)
  const files = checkBlockFiles(trace)
  const retired = checkRetired(trace, acknowledged)
  const fresh = checkNewSegments(trace)
  return {
    violations: [
      ...answers.violations,
      ...checkBlocks(trace, acknowledged),
      ...flushes.violations,
      ...files.violations,
      ...retired.violations,
      ...fresh.violations,
    ],
    seen: {
      answers: answers.count,
      earlyAnswers: answers.early,
      homeFlushes: flushes.count,
      newBlockFiles: files.count,
      retiredSegments: retired.count,
      newSegments: fresh.count,
    },
  }
}

interface Findings {
  readonly violations: readonly string[]
  readonly count: number
}

const SEGMENT = /\/journal\/\d{10}\.seg$/
const BLOCK_FILE = /\/blocks\/\d{10}\.blk$/
const HOME = /\/home\/data\.mdb$/
const WRITES: ReadonlySet<string> = new Set(['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'])
const SENDS: ReadonlySet<string> = new Set(['write', 'writev', 'sendto', 'sendmsg'])
const SYNCS: ReadonlySet<string> = new Set(['fsync', 'fdatasync'])

class Trace {
  readonly calls: readonly SystemCall[]
  readonly writes: readonly SystemCall[]
  readonly syncs: readonly SystemCall[]
  readonly answers: readonly SystemCall[]
  readonly renames: readonly SystemCall[]
  readonly removals: readonly SystemCall[]
  /** LMDB's last write of a transaction goes through a descriptor of its own, which syncs with each write. */
  readonly homeFlushes: readonly SystemCall[]

  constructor(calls: readonly SystemCall[]) {
    const done = calls.filter(({ result }) => result >= 0)
    this.calls = done
    this.writes = done.filter(({ name }) => WRITES.has(name))
    this.syncs = done.filter(({ name }) => SYNCS.has(name))
    this.answers = calls.filter(({ name, args }) => SENDS.has(name) && args.includes('HTTP/1.1 '))
    this.renames = done.filter(({ name }) => name.startsWith('rename'))
    this.removals = done.filter(({ name }) => name.startsWith('unlink'))
    this.homeFlushes = writesThatSync(done)
  }

  /** The first sync of a file or folder that begins after a call is over. */
  syncAfter(call: SystemCall, path: string): SystemCall | undefined {
    return this.syncs.find((sync) => sync.path === path && sync.begin > call.end)
  }

  /** Whether a write is on stable storage before something else begins. */
  isSyncedBefore(write: SystemCall, other: SystemCall): boolean {
    const sync = this.syncAfter(write, write.path)
    return sync !== undefined && sync.end < other.begin
  }
}

function writesThatSync(done: readonly SystemCall[]): readonly SystemCall[] {
  const syncing = new Set<number>()
  return done.filter(({ name, args, result, fd, path }) => {
    if (name === 'openat') {
      if (args.includes('O_DSYNC')) syncing.add(result)
      else syncing.delete(result)
    }
    return WRITES.has(name) && HOME.test(path) && fd !== undefined && syncing.has(fd)
  })
}

/** Rule 1: written, synced, answered. With `file-fast` written, answered, and synced some time. */
function checkAnswers(
  trace: Trace,
  acknowledged: readonly Acknowledged[],
  durability: 'file-durable' | 'file-fast',
): Findings & { readonly early: number } {
  const violations: string[] = []
  let early = 0
  for (const { marker, nextOffset } of acknowledged) {
    const write = journalWrite(trace, marker)
    const answer = trace.answers.find(({ args }) => args.includes(`Stream-Next-Offset: ${nextOffset}`))
    if (write === undefined || answer === undefined) {
      violations.push(`${marker}: ${write ? 'its answer' : 'its write to the journal'} is not in the trace`)
      continue
    }
    if (write.end > answer.begin) violations.push(`${marker} was answered before it was in the journal`)
    const sync = trace.syncAfter(write, write.path)
    if (sync === undefined) violations.push(`${marker} was never synced`)
    const isEarly = sync === undefined || sync.end > answer.begin
    if (isEarly) early++
    if (isEarly && durability === 'file-durable') {
      violations.push(`${marker} was answered before it was synced`)
    }
  }
  return { violations, count: acknowledged.length, early }
}

/** Rule 2: blocks hold only what the journal would give again. */
function checkBlocks(trace: Trace, acknowledged: readonly Acknowledged[]): readonly string[] {
  return acknowledged.flatMap(({ marker }) => {
    const block = blockWrite(trace, marker)
    const write = journalWrite(trace, marker)
    if (block === undefined || write === undefined || trace.isSyncedBefore(write, block)) return []
    return [`${marker} was in a block before its record was synced`]
  })
}

/** Rule 2: the home names blocks that are synced, and its last write follows the sync of its pages. */
function checkHome(trace: Trace): Findings {
  const flushes = new Set(trace.homeFlushes)
  const checked = trace.writes
    .filter(({ path }) => BLOCK_FILE.test(path) || HOME.test(path))
    .filter((write) => !flushes.has(write))
    .map((write) => ({ ...write, syncedAt: trace.syncAfter(write, write.path)?.end }))
  const violations = [...flushes].flatMap((flush) =>
    checked
      .filter(
        ({ begin, syncedAt = Number.POSITIVE_INFINITY }) => begin < flush.begin && syncedAt > flush.begin,
      )
      .map(({ path }) => `the home was flushed before a write to ${path} was synced`),
  )
  return { violations, count: flushes.size }
}

/** Rule 2: a new block file's entry is durable before the home is flushed that may name it. */
function checkBlockFiles(trace: Trace): Findings {
  const created = trace.calls.filter(
    (call) =>
      call.name === 'openat' && call.args.includes('O_CREAT') && BLOCK_FILE.test(namesIn(call)[0] ?? ''),
  )
  const violations = created.flatMap((call) => {
    const path = namesIn(call)[0] ?? ''
    const first = trace.writes.find((write) => write.path === path && write.args.includes('"BLK1'))
    const flush = first && trace.homeFlushes.find(({ begin }) => begin > first.end)
    const sync = trace.syncAfter(call, folderOf(path))
    if (flush === undefined || (sync !== undefined && sync.end < flush.begin)) return []
    return [`the home was flushed before the folder entry of ${path} was synced`]
  })
  return { violations, count: created.length }
}

/** Rule 3: a segment goes when all of it is in blocks and home, and its name is gone before it is used again. */
function checkRetired(trace: Trace, acknowledged: readonly Acknowledged[]): Findings {
  const gone = [...trace.renames, ...trace.removals].filter((call) => SEGMENT.test(namesIn(call)[0] ?? ''))
  const violations = gone.flatMap((call) => {
    const segment = namesIn(call)[0] ?? ''
    const early = acknowledged.filter(({ marker }) => {
      const write = journalWrite(trace, marker)
      return write?.path === segment && !isApplied(trace, marker, call)
    })
    const sync = trace.syncAfter(call, folderOf(segment))
    const reuse = trace.writes.find(
      (write) => write.path.endsWith('/journal/spare') && write.begin > call.end,
    )
    const isReusedEarly = reuse !== undefined && (sync === undefined || sync.end > reuse.begin)
    return [
      ...early.map(({ marker }) => `${segment} went before ${marker} was in a block that the home names`),
      ...(sync === undefined ? [`the folder of ${segment} was not synced when it had gone`] : []),
      ...(isReusedEarly ? [`${segment} was written to again before its name was gone for good`] : []),
    ]
  })
  return { violations, count: gone.length }
}

/** Section "Journal segment": allocated, synced, and entered in its folder before a record lands in it. */
function checkNewSegments(trace: Trace): Findings {
  const made = trace.renames.filter((call) => SEGMENT.test(namesIn(call)[1] ?? ''))
  const violations = made.flatMap((call) => {
    const [spare = '', segment = ''] = namesIn(call)
    const prepared = trace.writes.filter(({ path, begin }) => path === spare && begin < call.begin)
    const record = trace.writes.find(({ path, begin }) => path === segment && begin > call.begin)
    const isPrepared = prepared.every((write) => trace.isSyncedBefore(write, call))
    const sync = trace.syncAfter(call, folderOf(segment))
    const isEntered = record === undefined || (sync !== undefined && sync.end < record.begin)
    return [
      ...(isPrepared ? [] : [`${segment} got its name before it was synced`]),
      ...(isEntered ? [] : [`${segment} got a record before its folder entry was synced`]),
    ]
  })
  return { violations, count: made.length }
}

function journalWrite(trace: Trace, marker: string): SystemCall | undefined {
  return trace.writes.find(({ path, args }) => SEGMENT.test(path) && args.includes(marker))
}

function blockWrite(trace: Trace, marker: string): SystemCall | undefined {
  return trace.writes.find(({ path, args }) => BLOCK_FILE.test(path) && args.includes(marker))
}

/** In a block that was synced, with a flush of the home after that, all of it before something else begins. */
function isApplied(trace: Trace, marker: string, other: SystemCall): boolean {
  const block = blockWrite(trace, marker)
  const sync = block && trace.syncAfter(block, block.path)
  const flush = sync && trace.homeFlushes.find(({ begin }) => begin > sync.end)
  return flush !== undefined && flush.end < other.begin
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
