/** Joins requirements with the tests that ran: which rule is enforced by what. Pure. */
import type { Requirement } from './requirement-list.ts'
import type { RunReport } from './run-report.ts'
import { isNodeSuiteFile, isSuiteFile } from './suite-facts.ts'

/** A passed test of ours that names a requirement. */
export interface OwnTest {
  readonly file: string
  readonly title: string
}

/** `MISSING`: nothing that passed enforces it, and nothing it could be waiting for excuses that. */
export type RowState = 'ok' | 'awaiting' | 'MISSING'

/** One requirement and what enforced it in this run. */
export interface RequirementRow {
  readonly requirement: Requirement
  readonly state: RowState
  /** Published tests that it cites and that passed on Node, on every storage. */
  readonly suite: readonly string[]
  readonly own: readonly OwnTest[]
  /** What a reader should know though it fails nothing. */
  readonly notes: readonly string[]
}

/** One row for each requirement, in their order. Only tests that passed count. */
export function buildTable(
  requirements: readonly Requirement[],
  report: RunReport,
): readonly RequirementRow[] {
  const suitePasses = passedSuiteTitles(report)
  const ownTests = testsByRequirement(report)
  return requirements.map((requirement) => {
    const suite = requirement.suite.filter((title) => suitePasses.has(title))
    const own = ownTests.get(requirement.id) ?? []
    const enforced = suite.length > 0 || own.length > 0
    const state = enforced ? 'ok' : requirement.awaiting === undefined ? 'MISSING' : 'awaiting'
    return { requirement, state, suite, own, notes: rowNotes(requirement, own) }
  })
}

/** Requirement ids in the titles of our tests that no requirement has: most likely slips. */
export function unknownIds(requirements: readonly Requirement[], report: RunReport): readonly string[] {
  const known = new Set(requirements.map(({ id }) => id))
  return [...testsByRequirement(report).keys()].filter((id) => !known.has(id)).sort()
}

/** The requirement ids that a title names. Ranges are not expanded. */
export function idsInTitle(title: string): readonly string[] {
  return [...new Set(title.match(/\b[RC]-\d{3}\b/g) ?? [])]
}

function rowNotes(requirement: Requirement, own: readonly OwnTest[]): readonly string[] {
  const notes: string[] = []
  if (requirement.weak !== undefined && own.length === 0) {
    notes.push(`only a weak published test: ${requirement.weak}`)
  }
  if (requirement.awaiting !== undefined) notes.push(requirement.awaiting)
  return notes
}

function passedSuiteTitles(report: RunReport): ReadonlySet<string> {
  const results = report.tests.filter((test) => isNodeSuiteFile(test.file))
  const notPassed = new Set(results.filter((test) => test.status !== 'passed').map((test) => test.title))
  return new Set(results.map((test) => test.title).filter((title) => !notPassed.has(title)))
}

function testsByRequirement(report: RunReport): ReadonlyMap<string, readonly OwnTest[]> {
  const byId = new Map<string, OwnTest[]>()
  for (const { file, title, status } of report.tests) {
    if (status !== 'passed' || isSuiteFile(file)) continue
    for (const id of idsInTitle(title)) {
      byId.set(id, [...(byId.get(id) ?? []), { file, title }])
    }
  }
  return byId
}
