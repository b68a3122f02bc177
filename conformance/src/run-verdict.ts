/** Decides whether a run was good: one line for each thing that was not. Pure. */
import type { RequirementRow } from './requirement-table.ts'
import type { RunReport, TestResult, TestStatus } from './run-report.ts'
import { executedTests, isSuiteFile, skippedGroup, skippedTests } from './suite-facts.ts'

const NAMED_FAILURES = 20

/** How many tests ended how. A file that failed as a whole counts as one failed test. */
export interface RunCounts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/**
 * Everything that was wrong; empty for a good run. `suiteFiles` are the rows that have to be there. With `requireAll`
 * a test that was skipped because a program is missing is a problem like every other.
 */
export function findProblems(
  rows: readonly RequirementRow[],
  report: RunReport,
  suiteFiles: readonly string[],
  requireAll: boolean,
): readonly string[] {
  return [
    ...report.brokenFiles.map(({ file, message }) => `${file} failed: ${firstLine(message)}`),
    ...describeFailures(withStatus(report.tests, 'failed')),
    ...suiteFiles.flatMap((file) => suiteProblems(file, report)),
    ...withStatus(report.tests, 'skipped')
      .filter(isSkippedElsewhere)
      .filter((test) => requireAll || !isForWant(test))
      .map(describeSkip),
    ...citationProblems(rows, report),
    ...rows.filter(({ state }) => state === 'MISSING').map(describeMissing),
  ]
}

/** Tests that could not run here for want of a program; their titles say of which. */
export function skippedForWant(report: RunReport): readonly string[] {
  return withStatus(report.tests, 'skipped').filter(isForWant).map(describeSkip)
}

/** The counts of the closing line. */
export function countTests(report: RunReport): RunCounts {
  return {
    passed: withStatus(report.tests, 'passed').length,
    failed: withStatus(report.tests, 'failed').length + report.brokenFiles.length,
    skipped: withStatus(report.tests, 'skipped').length,
  }
}

/** The first few by name: the test runner has told about each of them already. */
function describeFailures(failed: readonly TestResult[]): readonly string[] {
  const named = failed.slice(0, NAMED_FAILURES).map(({ file, title }) => `failed: ${file} > ${title}`)
  const more = failed.length - named.length
  return more === 0 ? named : [...named, `failed: ${more} more tests`]
}

function suiteProblems(file: string, report: RunReport): readonly string[] {
  const tests = report.tests.filter((test) => test.file === file)
  if (tests.length === 0) return [`${file} did not run`]
  const skipped = withStatus(tests, 'skipped')
  const executed = tests.length - skipped.length
  const problems: string[] = []
  if (executed !== executedTests) {
    problems.push(`${file} executed ${executed} published tests instead of ${executedTests}`)
  }
  if (skipped.length !== skippedTests) {
    problems.push(`${file} skipped ${skipped.length} published tests instead of ${skippedTests}`)
  }
  return problems
}

/** The only tests that may be skipped are those of the suite's group that has to be switched on. */
function isSkippedElsewhere({ file, title }: TestResult): boolean {
  return !(isSuiteFile(file) && title.startsWith(`${skippedGroup} > `))
}

function isForWant({ title }: TestResult): boolean {
  return / \(needs [a-z]+\)$/.test(title)
}

function describeSkip({ file, title }: TestResult): string {
  return `skipped: ${file} > ${title}`
}

/** The list and the suite have to name the same tests, or a renamed test would enforce nothing. */
function citationProblems(rows: readonly RequirementRow[], report: RunReport): readonly string[] {
  const existing = new Set(report.tests.filter(({ file }) => isSuiteFile(file)).map(({ title }) => title))
  if (existing.size === 0) return []
  const cited = new Set(rows.flatMap(({ requirement }) => requirement.suite))
  const uncited = [...existing].filter((title) => !cited.has(title) && !title.startsWith(skippedGroup))
  return [
    ...[...cited].filter((title) => !existing.has(title)).map((title) => `no such published test: ${title}`),
    ...uncited.map((title) => `no requirement cites the published test: ${title}`),
  ]
}

function describeMissing({ requirement }: RequirementRow): string {
  const { id, level, text, suite } = requirement
  const need = suite.length === 0 ? 'no test of ours names it' : 'none of its tests passed'
  return `${id} ${level} is not enforced (${need}): ${text}`
}

function withStatus(tests: readonly TestResult[], status: TestStatus): readonly TestResult[] {
  return tests.filter((test) => test.status === status)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
