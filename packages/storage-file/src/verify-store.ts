/** `verify` for operators: checks a whole data directory while no server runs on it, and changes nothing. */
import { checkData, sizeOfData } from './check-data.ts'
import { type CheckEnd, runCheck, SILENCE_MS } from './check-process.ts'
import type { Disk } from './disk.ts'
import { type CheckCounts, type CheckReport, type Finding, inFile, NO_COUNTS, RESTORE } from './finding.ts'
import { withOwnedStore } from './owned-store.ts'

/** Findings that a report lists; beyond, they are counted only. */
const MOST_FINDINGS = 1000

/** Options of `verifyStore`. */
export interface VerifyOptions {
  readonly dataDir: string
  /** Told every finding as it comes, those that the report does not list included. */
  readonly onFinding?: (finding: Finding) => void
  /** Told now and then how many bytes of how many have been checked. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
  /** How long the checking process may be silent before it is taken for hung; a minute unless given. */
  readonly silenceMs?: number
}

/** What `verifyStore` found. */
export interface VerifyReport {
  /** No finding is an error: everything that was promised is there. */
  readonly isSound: boolean
  readonly errors: number
  readonly notices: number
  /** The first 1,000, in the order in which they were found. */
  readonly findings: readonly Finding[]
  readonly checked: CheckCounts
}

/**
 * Checks every checksum of a data directory, and that journal, home and block files agree. Owns the directory
 * meanwhile; changes nothing in it but the owner's number in `LOCK` and LMDB's `home/lock.mdb`. LMDB is read by a
 * process of its own, whose death is a finding. Throws `StoreMissing`, `ForeignDirectory` or `DiskLocked` when there
 * is nothing that could be checked.
 */
export async function verifyStore(options: VerifyOptions): Promise<VerifyReport> {
  const { dataDir, silenceMs = SILENCE_MS } = options
  return withOwnedStore(dataDir, async (disk) => {
    const result = new Result(options, await sizeOfData(disk))
    const end = await runCheck(
      { kind: 'verify', dataDir },
      (message) => {
        if (message.kind === 'finding') result.find(message.finding)
        if (message.kind === 'progress') result.show(message.doneBytes)
      },
      silenceMs,
    )
    if (end.kind === 'done') return result.close(end.counts)
    result.find(lostHome(end))
    return checkWithoutHome(disk, result)
  })
}

/** Journal and block files can be checked by themselves. */
async function checkWithoutHome(disk: Disk, result: Result): Promise<VerifyReport> {
  result.restart()
  await checkData(disk, undefined, result)
  return result.close(result.counts)
}

function lostHome(end: Exclude<CheckEnd, { kind: 'done' }>): Finding {
  return {
    severity: 'error',
    where: inFile('home'),
    what: `The database cannot be read: ${reasonOf(end)}`,
    whatToDo: RESTORE,
  }
}

function reasonOf(end: Exclude<CheckEnd, { kind: 'done' }>): string {
  switch (end.kind) {
    case 'failed':
      return end.message
    case 'died':
      return `reading it ended the process that tried (${end.how}).`
    case 'silent':
      return `the process that reads it did not get on for ${end.afterMs / 1000} s.`
  }
}

class Result implements CheckReport {
  readonly #options: VerifyOptions
  readonly #totalBytes: number
  readonly #findings: Finding[] = []
  readonly #seen = new Set<string>()
  #errors = 0
  #notices = 0
  #doneBytes = 0
  counts: CheckCounts = NO_COUNTS

  constructor(options: VerifyOptions, totalBytes: number) {
    this.#options = options
    this.#totalBytes = totalBytes
  }

  find(finding: Finding): void {
    // What the process said before it ended is found again without it.
    const text = JSON.stringify(finding)
    if (this.#seen.has(text)) return
    if (finding.severity === 'error') this.#errors++
    else this.#notices++
    this.#options.onFinding?.(finding)
    if (this.#findings.length >= MOST_FINDINGS) return
    this.#findings.push(finding)
    this.#seen.add(text)
  }

  count(what: keyof CheckCounts, by = 1): void {
    this.counts = { ...this.counts, [what]: this.counts[what] + by }
  }

  async progress(bytes: number): Promise<void> {
    this.show(this.#doneBytes + bytes)
  }

  show(doneBytes: number): void {
    this.#doneBytes = doneBytes
    this.#options.onProgress?.(Math.min(doneBytes, this.#totalBytes), this.#totalBytes)
  }

  restart(): void {
    this.#doneBytes = 0
  }

  close(checked: CheckCounts): VerifyReport {
    const [errors, notices] = [this.#errors, this.#notices]
    return { isSound: errors === 0, errors, notices, findings: this.#findings, checked }
  }
}
