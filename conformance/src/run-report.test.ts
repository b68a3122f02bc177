import { expect, test } from 'vitest'
import { parseRunReport } from './run-report.ts'

function reportOf(...testResults: readonly object[]): string {
  return JSON.stringify({ testResults })
}

function fileOf(assertionResults: readonly object[], more: object = {}): object {
  return { name: '/repo/packages/engine/src/a.test.ts', status: 'passed', assertionResults, ...more }
}

function testOf(status: string, title = 'works', ancestorTitles: readonly string[] = []): object {
  return { status, title, ancestorTitles }
}

test('joins the titles and makes paths relative to the root', () => {
  const report = parseRunReport(
    reportOf(fileOf([testOf('passed', 'works', ['', 'group', 'inner'])])),
    '/repo',
  )

  expect(report).toEqual({
    tests: [{ file: 'packages/engine/src/a.test.ts', title: 'group > inner > works', status: 'passed' }],
    brokenFiles: [],
  })
})

test.each([
  ['passed', 'passed'],
  ['failed', 'failed'],
  ['skipped', 'skipped'],
  ['todo', 'skipped'],
  ['pending', 'failed'],
  ['anything else', 'failed'],
])('the status %s counts as %s', (status, expected) => {
  const { tests } = parseRunReport(reportOf(fileOf([testOf(status)])), '/repo')

  expect(tests.map((result) => result.status)).toEqual([expected])
})

test('a file that could not be loaded is broken', () => {
  const failed = fileOf([], { status: 'failed', message: 'cannot find module' })

  expect(parseRunReport(reportOf(failed), '/repo').brokenFiles).toEqual([
    { file: 'packages/engine/src/a.test.ts', message: 'cannot find module' },
  ])
})

test('a file whose hook threw is broken although no test of it failed', () => {
  const failed = fileOf([testOf('skipped')], { status: 'failed', message: 'no server' })

  expect(parseRunReport(reportOf(failed), '/repo').brokenFiles).toHaveLength(1)
})

test('a file without any test is broken', () => {
  expect(parseRunReport(reportOf(fileOf([])), '/repo').brokenFiles).toEqual([
    { file: 'packages/engine/src/a.test.ts', message: 'ran no test' },
  ])
})

test('a file with a failed test is not broken besides', () => {
  expect(
    parseRunReport(reportOf(fileOf([testOf('failed')], { status: 'failed' })), '/repo').brokenFiles,
  ).toEqual([])
})

test('refuses a text that is no report', () => {
  expect(() => parseRunReport('{}', '/repo')).toThrow('testResults must be an array')
})
