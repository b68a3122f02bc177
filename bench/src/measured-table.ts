/** What a measurement of the durable store ends in: a table for people, its values for programs. */
import { readConditions } from './conditions.ts'
import { formatConditions, markdownTable } from './report.ts'

export interface MeasuredTable {
  readonly title: string
  /** The first row is the head. */
  readonly rows: readonly (readonly string[])[]
  /** Everything measured, unrounded. */
  readonly values: unknown
  /** What was wrong; empty when everything was verified. */
  readonly problems: readonly string[]
}

export interface TableOutput {
  readonly disk: string
  readonly json: boolean
}

const MEBIBYTE = 1_048_576

export function mebibytes(bytes: number): number {
  return bytes / MEBIBYTE
}

/** Runs a measurement and prints it; the exit status. */
export async function printTable(
  output: TableOutput,
  measure: () => Promise<MeasuredTable>,
): Promise<number> {
  const conditions = readConditions(output.disk)
  const { title, rows, values, problems } = await measure()
  const listed = problems.map((problem) => `- PROBLEM ${problem}\n`).join('')
  const text = `${formatConditions(conditions)}\n\n**${title}**\n\n${markdownTable(rows)}\n\n${listed}`
  const json = JSON.stringify({ conditions, title, values, problems }, null, 2)
  process.stdout.write(output.json ? `${json}\n` : text)
  return problems.length === 0 ? 0 : 1
}
