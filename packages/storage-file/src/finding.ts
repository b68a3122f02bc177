/** Findings: what a check of a data directory has to say, and to whom it says it while it is under way. */

/** Where something was found: bytes of a file of the data directory, or positions of a stream. */
export type FindingPlace =
  | {
      readonly kind: 'file'
      /** Relative to the data directory. */
      readonly file: string
      /** First byte, and the byte behind the last; both or neither. */
      readonly from?: number
      readonly to?: number
    }
  | {
      readonly kind: 'stream'
      readonly path: string
      /** First position, and the position behind the last; both or neither. */
      readonly from?: number
      readonly to?: number
    }

/** One thing that was found. */
export interface Finding {
  /** `error`: what was written is not what is there. `notice`: worth knowing, and nothing that was promised. */
  readonly severity: 'error' | 'notice'
  readonly where: FindingPlace
  /** A sentence. */
  readonly what: string
  /** What to do about it, as a sentence, if there is anything to do. */
  readonly whatToDo?: string
}

/** How much was looked at. */
export interface CheckCounts {
  readonly journalSegments: number
  readonly journalRecords: number
  readonly homeEntries: number
  readonly streams: number
  readonly blockFiles: number
  readonly blocks: number
  /** Bytes of stream content in those blocks. */
  readonly blockBytes: number
}

/** Nothing looked at yet. */
export const NO_COUNTS: CheckCounts = {
  journalSegments: 0,
  journalRecords: 0,
  homeEntries: 0,
  streams: 0,
  blockFiles: 0,
  blocks: 0,
  blockBytes: 0,
}

/** Who is told while a check is under way. */
export interface CheckReport {
  find(finding: Finding): void
  count(what: keyof CheckCounts, by?: number): void
  /** Some bytes more have been looked at. Resolves when the check may go on: to be awaited every few megabytes. */
  progress(bytes: number): Promise<void>
}

/** Bytes of a file. */
export function inFile(file: string, from?: number, to?: number): FindingPlace {
  return from === undefined || to === undefined ? { kind: 'file', file } : { kind: 'file', file, from, to }
}

/** Positions of a stream. */
export function inStream(path: string, from?: number, to?: number): FindingPlace {
  return from === undefined || to === undefined
    ? { kind: 'stream', path }
    : { kind: 'stream', path, from, to }
}

/** What helps against lost bytes. */
export const RESTORE = 'Put the data directory back from a backup, or go on without these bytes.'
