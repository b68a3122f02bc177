import { describe, expect, test } from 'vitest'
import type { Requirement } from './requirement-list.ts'
import { buildTable, idsInTitle, unknownIds } from './requirement-table.ts'
import type { RunReport, TestResult, TestStatus } from './run-report.ts'

const cited: Requirement = {
  id: 'R-001',
  level: 'MUST',
  section: 'One',
  text: 'a',
  suite: ['Append > keeps'],
}
const uncited: Requirement = { ...cited, id: 'R-002', suite: [] }

function suiteTest(status: TestStatus, file = 'node-memory'): TestResult {
  return { file: `conformance/src/${file}.test.ts`, title: 'Append > keeps', status }
}

function ownTest(title: string, status: TestStatus = 'passed'): TestResult {
  return { file: 'packages/engine/src/a.test.ts', title, status }
}

function reportOf(...tests: readonly TestResult[]): RunReport {
  return { tests, brokenFiles: [] }
}

function statesOf(requirement: Requirement, ...tests: readonly TestResult[]): readonly string[] {
  return buildTable([requirement], reportOf(...tests)).map(({ state }) => state)
}

describe('a published test', () => {
  test('enforces the requirement that cites it when it passed on Node', () => {
    const rows = buildTable([cited], reportOf(suiteTest('passed')))

    expect(rows).toEqual([{ requirement: cited, state: 'ok', suite: cited.suite, own: [], notes: [] }])
  })

  test.each(['failed', 'skipped'] as const)('enforces nothing when it %s', (status) => {
    expect(statesOf(cited, suiteTest(status))).toEqual(['MISSING'])
  })

  test('enforces nothing when it passed on Bun only', () => {
    expect(statesOf(cited, suiteTest('passed', 'bun-memory'))).toEqual(['MISSING'])
  })

  test('enforces nothing when it passed on one storage and failed on another', () => {
    const tests = [suiteTest('passed', 'node-memory'), suiteTest('failed', 'node-file')]

    expect(statesOf(cited, ...tests)).toEqual(['MISSING'])
  })

  test('that did not run enforces nothing', () => {
    expect(statesOf(cited)).toEqual(['MISSING'])
  })
})

describe('a test of ours', () => {
  test('enforces each requirement that its title or its group names', () => {
    const rows = buildTable([cited, uncited], reportOf(ownTest('R-001: group > R-002: works')))

    expect(rows.map(({ state, own }) => [state, own.length])).toEqual([
      ['ok', 1],
      ['ok', 1],
    ])
  })

  test.each(['failed', 'skipped'] as const)('enforces nothing when it %s', (status) => {
    expect(statesOf(uncited, ownTest('R-002: works', status))).toEqual(['MISSING'])
  })

  test('that names no requirement enforces none', () => {
    expect(statesOf(uncited, ownTest('works'))).toEqual(['MISSING'])
  })
})

describe('a requirement that awaits something', () => {
  const awaiting: Requirement = { ...uncited, awaiting: 'awaits a store' }

  test('is awaiting until a test names it', () => {
    expect(statesOf(awaiting)).toEqual(['awaiting'])
    expect(statesOf(awaiting, ownTest('R-002: works'))).toEqual(['ok'])
  })

  test('says what for', () => {
    expect(buildTable([awaiting], reportOf()).map(({ notes }) => notes)).toEqual([['awaits a store']])
  })
})

test('a weak published test is noted until a test of ours stands beside it', () => {
  const weak: Requirement = { ...cited, weak: 'checks the start only' }
  const notesWith = (...tests: readonly TestResult[]): readonly string[] =>
    buildTable([weak], reportOf(suiteTest('passed'), ...tests)).flatMap(({ notes }) => notes)

  expect(notesWith()).toEqual(['only a weak published test: checks the start only'])
  expect(notesWith(ownTest('R-001: works'))).toEqual([])
})

test.each([
  ['lists', 'R-009, R-010: odd values', ['R-009', 'R-010']],
  ['only the ends of a range', 'R-009–R-012: odd values', ['R-009', 'R-012']],
  ['no number twice', 'R-009 > R-009: again', ['R-009']],
  ['numbers of the client beside those of the protocol', 'works (C-012, R-034)', ['C-012', 'R-034']],
  ['nothing longer than three digits', 'R-0091, PR-009, C-0121 and SSC-012', []],
])('titles: %s', (_, title, ids) => {
  expect(idsInTitle(title)).toEqual(ids)
})

test('a number that no requirement has is reported', () => {
  expect(unknownIds([cited], reportOf(ownTest('R-001, R-404: works')))).toEqual(['R-404'])
})
