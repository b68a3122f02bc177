/** How far a long copy is: a bar that moves on a terminal, a line now and then elsewhere. */
import type { WriteStream } from 'node:tty'
import { coloursFor } from './colours.ts'

const BAR_CELLS = 30
const REDRAW_MS = 100
/** Lines where there is no terminal: one for each quarter. */
const STEPS = 4

/** The parts of a terminal, or of whatever stands in for one, that are written to. */
export type ProgressOutput = Pick<WriteStream, 'isTTY' | 'write'>

/** Progress of one copy, in bytes. */
export class Progress {
  readonly #output: ProgressOutput
  readonly #label: string
  #totalBytes = 0
  #doneBytes = 0
  #drawnAtMs = Number.NEGATIVE_INFINITY
  #step = 0
  #isDrawn = false

  constructor(output: ProgressOutput, label: string) {
    this.#output = output
    this.#label = label
  }

  /** Begins, or begins again. */
  start(totalBytes: number): void {
    this.#totalBytes = totalBytes
    this.#doneBytes = 0
    this.#step = 0
    this.add(0)
  }

  /** More is done. */
  add(bytes: number): void {
    this.#doneBytes += bytes
    if (this.#output.isTTY === true) this.#redraw()
    else this.#writeStep()
  }

  /** A line of its own, above the bar. */
  note(line: string): void {
    this.#erase()
    this.#output.write(`${line}\n`)
  }

  /** Nothing more comes: the bar goes. */
  stop(): void {
    this.#erase()
  }

  #share(): number {
    return this.#totalBytes === 0 ? 1 : Math.min(1, this.#doneBytes / this.#totalBytes)
  }

  #text(): string {
    const percent = String(Math.floor(this.#share() * 100)).padStart(3)
    return `${percent} %  ${sizeText(this.#doneBytes)} of ${sizeText(this.#totalBytes)}`
  }

  #redraw(): void {
    const nowMs = performance.now()
    if (nowMs - this.#drawnAtMs < REDRAW_MS) return
    this.#drawnAtMs = nowMs
    const { cyan } = coloursFor(this.#output)
    const cells = Math.round(this.#share() * BAR_CELLS)
    const bar = `${cyan('█'.repeat(cells))}${'░'.repeat(BAR_CELLS - cells)}`
    this.#output.write(`\r\x1b[K${this.#label} ${bar} ${this.#text()}`)
    this.#isDrawn = true
  }

  #erase(): void {
    if (!this.#isDrawn) return
    this.#output.write('\r\x1b[K')
    this.#isDrawn = false
  }

  #writeStep(): void {
    const step = Math.floor(this.#share() * STEPS)
    if (step <= this.#step) return
    this.#step = step
    this.#output.write(`${this.#label} ${this.#text()}\n`)
  }
}

/** A number of bytes as people read it. */
export function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}
