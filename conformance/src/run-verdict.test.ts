import { describe, expect, test } from 'vitest'
import type { Requirement } from './requirement-list.ts'
import { buildTable } from './requirement-table.ts'
import type { RunReport, TestResult } from './run-report.ts'
import { countTests, findProblems, skippedForWant } from './run-verdict.ts'
import { executedTests, skippedGroup, skippedTests } from './suite-facts.ts'

const row = 'conformance/src/node-memory.test.ts'
const suite: readonly TestResult[] = [
  ...Array.from({ length: executedTests }, (_, index): TestResult => {
    return { file: row, title: `Append > case ${index}`, status: 'passed' }
  }),
  ...Array.from({ length: skippedTests }, (_, index): TestResult => {
    return { file: row, title: `${skippedGroup} > case ${index}`, status: 'skipped' }
  }),
]
const titles = suite.slice(0, executedTests).map(({ title }) => title)
const cited: Requirement = { id: 'R-001', level: 'MUST', section: 'One', text: 'All of it', suite: titles }
const own: TestResult = { file: 'packages/engine/src/a.test.ts', title: 'R-002: works', status: 'passed' }

interface Run {
  readonly tests?: readonly TestResult[]
  readonly brokenFiles?: RunReport['brokenFiles']
  readonly requirements?: readonly Requirement[]
  readonly suiteFiles?: readonly string[]
  readonly requireAll?: boolean
}

function problemsOf({
  tests = suite,
  brokenFiles = [],
  requirements = [cited],
  ...run
}: Run): readonly string[] {
  const report = { tests, brokenFiles }
  return findProblems(
    buildTable(requirements, report),
    report,
    run.suiteFiles ?? [row],
    run.requireAll ?? false,
  )
}

test('a complete run has no problem', () => {
  expect(problemsOf({})).toEqual([])
})

test('a failed test is a problem', () => {
  expect(problemsOf({ tests: [...suite, { ...own, status: 'failed' }] })).toEqual([
    'failed: packages/engine/src/a.test.ts > R-002: works',
  ])
})

test('of many failed tests the first are named and the rest counted', () => {
  const failed = Array.from({ length: 25 }, (): TestResult => ({ ...own, status: 'failed' }))

  expect(problemsOf({ tests: [...suite, ...failed] }).slice(19)).toEqual([
    'failed: packages/engine/src/a.test.ts > R-002: works',
    'failed: 5 more tests',
  ])
})

test('a broken file is a problem, told in one line', () => {
  expect(problemsOf({ brokenFiles: [{ file: 'a.test.ts', message: 'no module\nat x' }] })).toEqual([
    'a.test.ts failed: no module',
  ])
})

describe('the published suite', () => {
  test('has to run every test', () => {
    expect(problemsOf({ tests: suite.slice(1) })).toContain(
      `${row} executed ${executedTests - 1} published tests instead of ${executedTests}`,
    )
  })

  test('has to skip exactly the tests of the group that is off', () => {
    expect(problemsOf({ tests: suite.slice(0, -1) })).toEqual([
      `${row} skipped ${skippedTests - 1} published tests instead of ${skippedTests}`,
    ])
  })

  test('has to run on each row of the matrix', () => {
    const missing = 'conformance/src/bun-memory.test.ts'

    expect(problemsOf({ suiteFiles: [row, missing] })).toEqual([`${missing} did not run`])
  })

  test('has to know each title that is cited', () => {
    const renamed = { ...cited, suite: [...titles, 'Append > an older name'] }

    expect(problemsOf({ requirements: [renamed] })).toEqual([
      'no such published test: Append > an older name',
    ])
  })

  test('has no test that nothing cites', () => {
    expect(problemsOf({ requirements: [{ ...cited, suite: titles.slice(1) }] })).toEqual([
      'no requirement cites the published test: Append > case 0',
    ])
  })
})

test('a skipped test of ours is a problem', () => {
  expect(problemsOf({ tests: [...suite, { ...own, status: 'skipped' }] })).toEqual([
    'skipped: packages/engine/src/a.test.ts > R-002: works',
  ])
})

test('a skipped test of ours that lacks a program is named, and a problem where all have to run', () => {
  const tests = [...suite, { ...own, title: 'traces (needs strace)', status: 'skipped' as const }]
  const skipped = ['skipped: packages/engine/src/a.test.ts > traces (needs strace)']

  expect(problemsOf({ tests })).toEqual([])
  expect(skippedForWant({ tests, brokenFiles: [] })).toEqual(skipped)
  expect(problemsOf({ tests, requireAll: true })).toEqual(skipped)
})

test('another skipped test of the published suite is a problem', () => {
  const [first, ...others] = suite
  const tests = first === undefined ? [] : [{ ...first, status: 'skipped' as const }, ...others]

  expect(problemsOf({ tests })).toContain(`skipped: ${row} > Append > case 0`)
})

describe('a requirement without a published test', () => {
  const ours: Requirement = { ...cited, id: 'R-002', level: 'SHOULD', text: 'Ours', suite: [] }

  test('is a problem until a test of ours names it, whatever its level', () => {
    expect(problemsOf({ requirements: [cited, ours] })).toEqual([
      'R-002 SHOULD is not enforced (no test of ours names it): Ours',
    ])
    expect(problemsOf({ requirements: [cited, ours], tests: [...suite, own] })).toEqual([])
  })

  test('is none while it awaits something', () => {
    expect(problemsOf({ requirements: [cited, { ...ours, awaiting: 'a store' }] })).toEqual([])
  })
})

test('counts tests by how they ended, a broken file as one that failed', () => {
  const tests = [...suite, own, { ...own, status: 'failed' as const }]

  expect(countTests({ tests, brokenFiles: [{ file: 'a.test.ts', message: '' }] })).toEqual({
    passed: executedTests + 1,
    failed: 2,
    skipped: skippedTests,
  })
})
