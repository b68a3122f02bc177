/** What a rule has to say about one place in the tree. */

/** One thing to put right. */
export interface Finding {
  readonly path: string
  /** Counted from 1. */
  readonly line: number
  readonly rule: string
  /** What is wrong and what to do about it, in one line. */
  readonly message: string
}

/** The line that a person reads. */
export function formatFinding({ path, line, rule, message }: Finding): string {
  return `${path}:${line}: ${rule}: ${message}`
}
