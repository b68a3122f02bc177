/** Results as text for people. */
import type { Comparison, ScenarioResult } from './compare.ts'
import type { Conditions } from './conditions.ts'

/** A table in Markdown; the first row is its head. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...body.map(line)].join(
    '\n',
  )
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0
      return column === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    return `  ${cells.join('  ')}`.trimEnd()
  })
}

function comparisonLine(comparison: Comparison): string {
  const { kind, metric, lowest, highest, target, against } = comparison
  const number = (value: number): string => value.toFixed(metric.digits)
  const sign = kind === 'ratio' ? '/' : '-'
  return `  ${target} ${sign} ${against}, ${metric.label}: ${number(metric.value)} (${number(lowest)} to ${number(highest)})`
}

export function formatScenario(result: ScenarioResult, isMarkdown: boolean): string {
  const labels = result.targets[0]?.medians.map((metric) => metric.label) ?? []
  const rows = [['', ...labels, 'verified']]
  for (const { target, medians, verified } of result.targets) {
    rows.push([target, ...medians.map((metric) => metric.value.toFixed(metric.digits)), verified])
  }
  const problems = result.targets.flatMap(({ target, problems }) => {
    return problems.map((problem) => `  PROBLEM ${target}: ${problem}`)
  })
  const heading = `${result.title}; median of ${result.rounds} round(s)`
  const comparisons = result.comparisons.map(comparisonLine)
  if (isMarkdown) {
    const listed = [...comparisons, ...problems].map((text) => `-${text.slice(1)}`)
    return [`**${heading}**`, '', markdownTable(rows), '', ...listed].join('\n')
  }
  return [heading, ...table(rows), ...comparisons, ...problems].join('\n')
}

export function formatConditions(conditions: Conditions): string {
  const { date, cpu, cores, memoryGiB, kernel, node, loadAverage, disk } = conditions
  const files = disk === undefined ? '' : `; data on ${disk}`
  return [
    `${date}, ${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`,
    `load average before: ${loadAverage.toFixed(2)}; load generator and server share the machine, nothing is pinned${files}`,
  ].join('\n')
}
