/** What a checking process is asked, and what it says, message by message. */
import type { CheckCounts, Finding } from './finding.ts'
import type { InspectRequest, StoreOverview, StreamRow } from './inspect-data.ts'

/** What to do with a data directory that the asking process owns. */
export type CheckTask =
  | { readonly kind: 'verify'; readonly dataDir: string }
  | ({ readonly kind: 'inspect'; readonly dataDir: string } & InspectRequest)

/** The last rows have been taken: the next may come. */
export const NEXT = 'next'

/** Sent by the checking process; the last one is `done` or `failed`. */
export type CheckMessage =
  | { readonly kind: 'finding'; readonly finding: Finding }
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'streams'; readonly rows: readonly StreamRow[] }
  | { readonly kind: 'done'; readonly counts: CheckCounts; readonly overview?: StoreOverview }
  | { readonly kind: 'failed'; readonly message: string }
