/**
 * Remembers every acknowledged append and judges what a later read found.
 * An append is named by its writer (a connection) and that writer's sequence number.
 */

export interface AppendName {
  readonly writer: number
  readonly seq: number
}

export interface Findings {
  /** Acknowledged, not found. */
  lost: number
  /** Found more than once. */
  duplicated: number
  /** Found, never acknowledged. */
  unexpected: number
  /** Found behind a later append of the same writer. */
  reordered: number
  /** Found, but not byte for byte what was sent. */
  corrupt: number
}

const WRITER_FACTOR = 2 ** 32

function keyOf(name: AppendName): number {
  return name.writer * WRITER_FACTOR + name.seq
}

export function noFindings(): Findings {
  return { lost: 0, duplicated: 0, unexpected: 0, reordered: 0, corrupt: 0 }
}

/** One line for each kind of finding that is not zero. */
export function describeFindings(where: string, findings: Findings): string[] {
  return Object.entries(findings)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${where}: ${count} messages ${kind}`)
}

export class AppendLedger {
  readonly #acknowledged: readonly number[][]

  constructor(streams: number) {
    this.#acknowledged = Array.from({ length: streams }, () => [])
  }

  acknowledge(stream: number, writer: number, seq: number): void {
    this.#acknowledged[stream]?.push(writer * WRITER_FACTOR + seq)
  }

  /** `found`: what a read of the whole stream returned, in order; undefined for a damaged message. */
  judge(stream: number, found: readonly (AppendName | undefined)[]): Findings {
    const findings = noFindings()
    const missing = new Set(this.#acknowledged[stream] ?? [])
    const seen = new Set<number>()
    const lastSeq = new Map<number, number>()
    for (const name of found) {
      if (name === undefined) {
        findings.corrupt += 1
        continue
      }
      const key = keyOf(name)
      if (seen.has(key)) {
        findings.duplicated += 1
      } else if (missing.delete(key)) {
        if (name.seq < (lastSeq.get(name.writer) ?? -1)) findings.reordered += 1
        else lastSeq.set(name.writer, name.seq)
      } else {
        findings.unexpected += 1
      }
      seen.add(key)
    }
    findings.lost = missing.size
    return findings
  }
}
