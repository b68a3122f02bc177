import { expect, test } from 'vitest'
import { parseRequirements, readRequirements } from './requirement-list.ts'
import { executedTests } from './suite-facts.ts'

function listOf(...requirements: readonly object[]): string {
  return JSON.stringify({ sections: [{ title: 'Appending', requirements }] })
}

const plain = { id: 'R-001', level: 'MUST', text: 'Appends stay', suite: ['Append > keeps'] }

test('reads a requirement with the section that it stands in', () => {
  const notes = { weak: 'only one', awaiting: 'a store' }

  expect(parseRequirements(listOf(plain, { ...plain, ...notes, id: 'R-002' }))).toEqual([
    { ...plain, section: 'Appending' },
    { ...plain, ...notes, id: 'R-002', section: 'Appending' },
  ])
})

test('a requirement of the client needs no list of published tests', () => {
  const { suite, ...own } = { ...plain, id: 'C-012' }

  expect(parseRequirements(listOf(own))).toEqual([{ ...own, section: 'Appending', suite: [] }])
})

test.each([
  ['an id of another form', { ...plain, id: 'R-1' }, /R-1: an id is/],
  ['an unknown level', { ...plain, level: 'OUGHT' }, /R-001: level is "OUGHT"/],
  ['a key that nothing reads', { ...plain, wibble: 1 }, /R-001: unknown key wibble/],
  ['a missing text', { ...plain, text: '' }, /R-001 text/],
  ['a suite that is no list', { ...plain, suite: 'Append > keeps' }, /R-001 suite must be an array/],
])('refuses %s', (_, requirement, message) => {
  expect(() => parseRequirements(listOf(requirement))).toThrow(message)
})

test('refuses an id that is listed twice', () => {
  expect(() => parseRequirements(listOf(plain, plain))).toThrow('R-001 is listed twice')
})

/** Rules of what is not built yet: subscriptions. */
const isAhead = (number: number): boolean => number >= 297 && number <= 336

test('the list itself is well-formed, without a gap but for what is not built, and cites each test that is run', () => {
  const requirements = readRequirements().filter(({ id }) => id.startsWith('R-'))
  const ids = requirements.map(({ id }) => id)

  const all = Array.from({ length: 343 }, (_, at) => ({
    number: at + 1,
    id: `R-${String(at + 1).padStart(3, '0')}`,
  }))
  const missing = all.filter(({ id }) => !ids.includes(id))

  expect(ids).toEqual(all.map(({ id }) => id).filter((id) => ids.includes(id)))
  expect(missing.filter(({ number }) => !isAhead(number))).toEqual([])
  expect(new Set(requirements.flatMap(({ suite }) => suite)).size).toBe(executedTests)
})

/** The numbers of the client's list, area by area. */
const CLIENT_AREAS = [
  [1, 4],
  [10, 19],
  [20, 26],
  [30, 34],
  [40, 53],
  [60, 75],
  [80, 87],
  [90, 93],
  [100, 119],
  [130, 150],
  [183, 183],
] as const

test('the list of the client is complete', () => {
  const ids = readRequirements().map(({ id }) => id)
  const numbers = CLIENT_AREAS.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, at) => first + at),
  )

  expect(ids.filter((id) => id.startsWith('C-'))).toEqual(
    numbers.map((number) => `C-${String(number).padStart(3, '0')}`),
  )
})
