import { expect, test } from 'vitest'
import type { Requirement } from './requirement-list.ts'
import type { RequirementRow } from './requirement-table.ts'
import { formatCounts, formatSummary, formatTable } from './table-text.ts'

const requirement: Requirement = { id: 'R-001', level: 'MUST', section: 'One', text: 'Keeps it', suite: [] }
const enforced: RequirementRow = {
  requirement,
  state: 'ok',
  suite: ['Outer > Append > keeps'],
  own: [{ file: 'packages/engine/src/a.test.ts', title: 'R-001: works' }],
  notes: ['only so far'],
}
const missing: RequirementRow = { requirement, state: 'MISSING', suite: [], own: [], notes: [] }

test('a row shows its tests, ours first, and its notes', () => {
  expect(formatTable([enforced]).split('\n')).toEqual([
    '',
    'One',
    '',
    'R-001  MUST    ok        a.test.ts: R-001: works',
    '                         suite: Append > keeps',
    '                         ! only so far',
  ])
})

test('a row without a test shows what is missing', () => {
  expect(formatTable([missing])).toContain('R-001  MUST    MISSING   Keeps it')
})

test('a row with many tests says how many it leaves out', () => {
  const suite = ['a > 1', 'a > 2', 'a > 3', 'a > 4', 'a > 5']

  expect(formatTable([{ ...enforced, suite, notes: [] }])).toMatch(/suite: a > 2\n *and 3 more$/)
})

test('the summary counts the states and the weakly tested', () => {
  const weak: RequirementRow = { ...enforced, requirement: { ...requirement, weak: 'a bit' }, own: [] }

  expect(formatSummary([enforced, weak, missing])).toBe(
    '3 requirements: 2 enforced, 0 awaiting, 1 missing; 1 enforced by a weak published test only',
  )
})

test('the closing line has its exact shape', () => {
  expect(formatCounts({ passed: 12, failed: 0, skipped: 3 })).toBe('12 passed, 0 failed, 3 skipped')
})
