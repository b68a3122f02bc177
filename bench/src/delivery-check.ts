/** Judges what one live reader received: every message once, in order, intact. */

import type { AppendFormat } from './append-format.ts'
import { describeFindings, type Findings, noFindings } from './append-ledger.ts'

/**
 * Takes the payload of data events, in which messages may be merged or cut, and reports each complete
 * message. All messages come from writer 0 with consecutive numbers.
 */
export class DeliveryCheck {
  readonly findings: Findings = noFindings()
  readonly #format: AppendFormat
  readonly #onMessage: (seq: number) => void
  readonly #seen = new Set<number>()
  #highest: number
  #rest = ''

  /** `firstSeq`: the number of the first message that is due. */
  constructor(format: AppendFormat, firstSeq: number, onMessage: (seq: number) => void) {
    this.#format = format
    this.#highest = firstSeq - 1
    this.#onMessage = onMessage
  }

  receive(payload: string): void {
    const { sizeBytes } = this.#format
    const text = this.#rest + payload
    const whole = text.length - (text.length % sizeBytes)
    for (let start = 0; start < whole; start += sizeBytes) this.#message(text.slice(start, start + sizeBytes))
    this.#rest = text.slice(whole)
  }

  /** To be called once no message is expected any more; `lastSeq` is the last that was appended. */
  finish(reader: number, lastSeq: number): string[] {
    this.findings.lost += Math.max(0, lastSeq - this.#highest)
    if (this.#rest !== '') this.findings.corrupt += 1
    return describeFindings(`reader ${reader}`, this.findings)
  }

  #message(body: string): void {
    const name = this.#format.parse(body)
    if (name === undefined || name.writer !== 0) {
      this.findings.corrupt += 1
    } else if (this.#seen.has(name.seq)) {
      this.findings.duplicated += 1
    } else if (name.seq < this.#highest) {
      this.findings.reordered += 1
      this.findings.lost -= 1
      this.#seen.add(name.seq)
    } else {
      this.findings.lost += name.seq - this.#highest - 1
      this.#highest = name.seq
      this.#seen.add(name.seq)
      this.#onMessage(name.seq)
    }
  }
}
