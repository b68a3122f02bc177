/** Lays the table of requirements out as text for a terminal. Pure. */
import type { OwnTest, RequirementRow } from './requirement-table.ts'
import type { RunCounts } from './run-verdict.ts'

const TEST_WIDTH = 110
const SHOWN_TESTS = 3
const INDENT = ' '.repeat('R-000  SHOULD  awaiting  '.length)

/** The table: a line for each requirement, further tests and notes on lines below it. */
export function formatTable(rows: readonly RequirementRow[]): string {
  const lines: string[] = []
  let section = ''
  for (const row of rows) {
    if (row.requirement.section !== section) {
      section = row.requirement.section
      lines.push('', section, '')
    }
    lines.push(...formatRow(row))
  }
  return lines.join('\n')
}

/** What the table comes to, in one line. */
export function formatSummary(rows: readonly RequirementRow[]): string {
  const count = (state: RequirementRow['state']): number => rows.filter((row) => row.state === state).length
  const weak = rows.filter(({ requirement, own }) => requirement.weak !== undefined && own.length === 0)
  return (
    `${rows.length} requirements: ${count('ok')} enforced, ${count('awaiting')} awaiting, ` +
    `${count('MISSING')} missing; ${weak.length} enforced by a weak published test only`
  )
}

/** The closing line. Its shape is relied upon: nothing may be added to it. */
export function formatCounts({ passed, failed, skipped }: RunCounts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

function formatRow({ requirement, state, suite, own, notes }: RequirementRow): readonly string[] {
  const head = `${requirement.id}  ${requirement.level.padEnd(6)}  ${state.padEnd(8)}  `
  const tests = [...own.map(formatOwn), ...suite.map(formatSuite)].map(shorten)
  const hidden = tests.length - SHOWN_TESTS
  const details = [
    ...tests.slice(0, SHOWN_TESTS),
    ...(hidden > 0 ? [`and ${hidden} more`] : []),
    ...(tests.length === 0 ? [shorten(requirement.text)] : []),
    ...notes.map((note) => `! ${note}`),
  ]
  return details.map((detail, index) => (index === 0 ? head : INDENT) + detail)
}

function formatOwn({ file, title }: OwnTest): string {
  return `${file.slice(file.lastIndexOf('/') + 1)}: ${title}`
}

function formatSuite(title: string): string {
  // The innermost group is enough to find it.
  return `suite: ${title.split(' > ').slice(-2).join(' > ')}`
}

function shorten(text: string): string {
  return text.length <= TEST_WIDTH ? text : `${text.slice(0, TEST_WIDTH - 1)}…`
}
