/**
 * The order of effects of the store, judged from the system calls of its process. What is durable is what a sync that
 * has ended covers; every rule asks whether something was durable before something else began.
 */
import type { SystemCall } from './system-calls.fixture.ts'

/** What was wrong, and how much there was to judge: a trace without answers proves nothing. */
export interface EffectReport {
  readonly violations: readonly string[]
  readonly answers: number
  readonly blocks: number
  readonly homeCommits: number
  readonly retirements: number
  readonly folderSyncs: number
}

/** A promise of the durability modes that differ in when an append is answered. */
export type AnswersAfter = 'sync' | 'write'

const JOURNAL = /\/journal\/[0-9]+\.seg$/
const BLOCKS = /\/blocks\/[0-9]+\.blk$/
const HOME = /\/home\/data\.mdb$/

interface Written {
  /** Position of the stream, or sequence of the record, that it goes up to. */
  readonly upTo: number
  readonly call: SystemCall
}

/** Judges the trace of a server that has exactly one stream, from its creation on. */
export function judgeEffects(calls: readonly SystemCall[], answersAfter: AnswersAfter): EffectReport {
  return new EffectJudge(calls, answersAfter).report()
}

class EffectJudge {
  readonly #calls: readonly SystemCall[]
  readonly #violations: string[] = []
  readonly #positions: readonly Written[]
  readonly #sequences: readonly Written[]

  constructor(calls: readonly SystemCall[], answersAfter: AnswersAfter) {
    this.#calls = calls
    const records = this.#writesTo(JOURNAL).flatMap((call) =>
      recordsIn(call.bytes).map((record) => ({ call, ...record })),
    )
    this.#positions = records.map(({ call, position }) => ({ call, upTo: position }))
    this.#sequences = records.map(({ call, sequence }) => ({ call, upTo: sequence }))
    this.#judgeAnswers(answersAfter)
    this.#judgeBlocks()
    this.#judgeHome()
    this.#judgeRetirements()
    this.#judgeNewSegments()
  }

  report(): EffectReport {
    return {
      violations: this.#violations,
      answers: this.#answers().length,
      blocks: this.#blocks().length,
      homeCommits: this.#writesTo(HOME).length,
      retirements: this.#retirements().length,
      folderSyncs: this.#calls.filter(({ name, path }) => name === 'fsync' && path.endsWith('/journal'))
        .length,
    }
  }

  #judgeAnswers(answersAfter: AnswersAfter): void {
    for (const { position, call } of this.#answers()) {
      const write = this.#positions.find(({ upTo }) => upTo === position)?.call
      if (write === undefined) this.#blame(call, `position ${position} was answered and never written`)
      else if (write.ended >= call.began)
        this.#blame(call, `position ${position} was answered before it was written`)
      else if (answersAfter === 'sync' && !this.#isSynced(write, call.began)) {
        this.#blame(call, `position ${position} was answered before it was synced`)
      }
    }
  }

  /** A block holds only what the journal has for good. */
  #judgeBlocks(): void {
    for (const { to, call } of this.#blocks()) {
      const write = this.#positions.find(({ upTo }) => upTo >= to)?.call
      if (write === undefined || !this.#isSynced(write, call.began)) {
        this.#blame(call, `a block up to position ${to} was written before the journal was synced`)
      }
    }
  }

  /** The home names only blocks that are there for good, in files whose names are. */
  #judgeHome(): void {
    const blockWrites = this.#writesTo(BLOCKS)
    const created = this.#calls.filter(
      ({ name, path, text }) => name.startsWith('open') && BLOCKS.test(path) && text.includes('O_CREAT'),
    )
    for (const commit of this.#writesTo(HOME)) {
      for (const write of blockWrites) {
        if (write.ended < commit.began && !this.#isSynced(write, commit.began)) {
          this.#blame(commit, `the home was written before ${write.path} was synced`)
        }
      }
      for (const file of created) {
        const isUsed = blockWrites.some(({ path, ended }) => path === file.path && ended < commit.began)
        if (isUsed && !this.#isFolderSynced('/blocks', file, commit.began)) {
          this.#blame(commit, `the home was written before the name of ${file.path} was synced`)
        }
      }
    }
  }

  /** A segment goes when the home that holds its records is flushed, and its going is synced. */
  #judgeRetirements(): void {
    const flushed = this.#flushedHomes()
    for (const call of this.#retirements()) {
      const [, segment = ''] = /"[^"]*\/(journal\/[0-9]+\.seg)"/.exec(call.text) ?? []
      const last = Math.max(
        0,
        ...this.#sequences.filter((one) => one.call.path.endsWith(segment)).map(({ upTo }) => upTo),
      )
      const applied = Math.max(
        0,
        ...flushed.filter(({ atOrBefore }) => atOrBefore < call.began).map((one) => one.applied),
      )
      if (applied < last)
        this.#blame(call, `${segment} went with record ${last}, the flushed home had ${applied}`)
      if (!this.#isFolderSynced('/journal', call, Number.POSITIVE_INFINITY))
        this.#blame(call, `the going of ${segment} was never synced`)
    }
  }

  /** Records land only in a segment whose content and name are there for good. */
  #judgeNewSegments(): void {
    for (const [path, first] of firstRecords(this.#sequences)) {
      const naming = this.#calls
        .filter(
          (call) => call.name.startsWith('rename') && call.text.includes(path) && call.ended < first.began,
        )
        .at(-1)
      const isNamed = naming === undefined || this.#isFolderSynced('/journal', naming, first.began)
      if (!isNamed) this.#blame(first, `a record landed in ${path} before its name was synced`)
    }
  }

  #blame(call: SystemCall, sentence: string): void {
    this.#violations.push(`line ${call.began + 1}: ${sentence}`)
  }

  /** Whether a sync of the same file began after a write had ended, and ended before a place. */
  #isSynced(write: SystemCall, before: number): boolean {
    return this.#calls.some(
      ({ name, path, began, ended }) =>
        (name === 'fdatasync' || name === 'fsync') &&
        path === write.path &&
        began > write.ended &&
        ended < before,
    )
  }

  #isFolderSynced(folder: string, change: SystemCall, before: number): boolean {
    return this.#calls.some(
      ({ name, path, began, ended }) =>
        name === 'fsync' && path.endsWith(folder) && began > change.ended && ended < before,
    )
  }

  #writesTo(pattern: RegExp): readonly SystemCall[] {
    return this.#calls.filter(({ name, path }) => /^p?writev?(?:64)?2?$/.test(name) && pattern.test(path))
  }

  #answers(): readonly { readonly position: number; readonly call: SystemCall }[] {
    return this.#calls.flatMap((call) => {
      if (!/^write|^send/.test(call.name) || !call.path.startsWith('socket:')) return []
      return [
        ...call.bytes
          .toString('latin1')
          .matchAll(/HTTP\/1\.1 20[04][\s\S]*?Stream-Next-Offset: [0-9]{16}_([0-9]{16})/g),
      ].map(([, position]) => ({ position: Number(position), call }))
    })
  }

  #blocks(): readonly { readonly to: number; readonly call: SystemCall }[] {
    return this.#writesTo(BLOCKS).flatMap((call) => blocksIn(call.bytes).map((to) => ({ to, call })))
  }

  #retirements(): readonly SystemCall[] {
    return this.#calls.filter(({ name, text }) => {
      if (name.startsWith('unlink')) return /\/journal\/[0-9]+\.seg"/.test(text)
      return (
        name.startsWith('rename') &&
        /\/journal\/[0-9]+\.seg", (?:AT_FDCWD<[^>]*>, )?"[^"]*\/journal\/spare"/.test(text)
      )
    })
  }

  /** LMDB writes pages, syncs them, then writes a root through a descriptor that syncs by itself. */
  #flushedHomes(): readonly { readonly applied: number; readonly atOrBefore: number }[] {
    const synchronous = new Set(
      this.#calls
        .filter(
          ({ name, path, text }) => name.startsWith('open') && HOME.test(path) && text.includes('O_DSYNC'),
        )
        .map(({ descriptor }) => descriptor),
    )
    let applied = 0
    return this.#writesTo(HOME).flatMap((call) => {
      applied = appliedIn(call.bytes) ?? applied
      return synchronous.has(call.descriptor) ? [{ applied, atOrBefore: call.ended }] : []
    })
  }
}

function firstRecords(written: readonly Written[]): ReadonlyMap<string, SystemCall> {
  const first = new Map<string, SystemCall>()
  for (const { call } of written) if (!first.has(call.path)) first.set(call.path, call)
  return first
}

/** The records of a journal write, as FORMAT.md draws them: where each leaves the one stream there is. */
function recordsIn(bytes: Buffer): readonly { readonly sequence: number; readonly position: number }[] {
  const records: { sequence: number; position: number }[] = []
  // A segment's header and its allocation come before any record.
  if (bytes.toString('latin1', 0, 6) === 'MILLRJ') return records
  for (let at = 0; at + 32 <= bytes.length && bytes.readUInt32LE(at) > 0; ) {
    const bodyBytes = bytes.readUInt32LE(at)
    const meta = bytes.toString('utf8', at + 32, at + 32 + bytes.readUInt32LE(at + 12))
    const rows = JSON.parse(meta) as readonly (readonly unknown[])[]
    const ends = rows
      .filter(([kind]) => kind !== 't')
      .map((row) => Number(row[5]) + Math.max(0, Number(row[7])))
    records.push({ sequence: bytes.readUInt32LE(at + 16), position: Math.max(0, ...ends) })
    at += Math.ceil((32 + bodyBytes) / 8) * 8
  }
  return records
}

/** Where the blocks of a write end. */
function blocksIn(bytes: Buffer): readonly number[] {
  const ends: number[] = []
  for (
    let at = 0;
    at + 32 <= bytes.length && bytes.toString('latin1', at, at + 4) === 'BLK1';
    at += bytes.readUInt32LE(at + 8)
  ) {
    ends.push(bytes.readUInt32LE(at + 24) + bytes.readUInt32LE(at + 12))
  }
  return ends
}

/** The applied sequence in a page of the home, by LMDB's layout of a node: sizes, key, value. */
function appliedIn(bytes: Buffer): number | undefined {
  const key = Buffer.from('m/applied')
  let found: number | undefined
  for (let at = bytes.indexOf(key); at >= 8; at = bytes.indexOf(key, at + 1)) {
    const valueBytes = bytes.readUInt16LE(at - 8) + bytes.readUInt16LE(at - 6) * 65_536
    const value = bytes.toString('latin1', at + key.length + 4, at + key.length + valueBytes)
    if (/^[0-9]+$/.test(value)) found = Math.max(found ?? 0, Number(value))
  }
  return found
}
