import { describe, expect, test } from 'vitest'
import { checkSizes } from './size-limit.ts'
import { messagesFound, placesFound } from './test-tree.ts'

function linesOf(count: number): string {
  return '// a line\n'.repeat(count)
}

describe('files', () => {
  test.each([
    ['a source of 400 lines', 'a.ts', 400, []],
    ['a source of 401 lines', 'a.ts', 401, ['a.ts:401']],
    ['a test of 600 lines', 'a.test.ts', 600, []],
    ['a test of 601 lines', 'a.test.ts', 601, ['a.test.ts:601']],
    ['a text of any length', 'a.md', 2_000, []],
  ])('%s', (_, path, count, places) => {
    expect(placesFound(checkSizes, { [path]: linesOf(count) })).toEqual(places)
  })

  test('the last line counts without a line end too', () => {
    expect(placesFound(checkSizes, { 'a.ts': `${linesOf(400)}// the last` })).toEqual(['a.ts:401'])
  })
})

describe('functions', () => {
  const forms: readonly [string, string, string][] = [
    ['a declaration', 'function run() {', '}'],
    ['an arrow', 'const run = () => {', '}'],
    ['an expression', 'const run = async function* () {', '}'],
    ['an exported function', 'export function run(): void {', '}'],
    ['a method', 'class A { run() {', '}}'],
    ['an accessor', 'class A { get run() {', '}}'],
    ['a method of an object', 'const a = { run() {', '}}'],
    ['a function in a function', 'const a = () => [function () {', '}]'],
  ]

  test.each(forms)('%s of 60 lines', (_, head, foot) => {
    expect(messagesFound(checkSizes, { 'a.ts': `${head}\n${linesOf(58)}${foot}\n` })).toEqual([])
  })

  test.each(forms)('%s of 61 lines', (_, head, foot) => {
    expect(messagesFound(checkSizes, { 'a.ts': `${head}\n${linesOf(59)}${foot}\n` })).toContain(
      'a function of 61 lines, 60 are allowed: give its parts names',
    )
  })

  test('braces in strings, templates, comments and patterns do not matter', () => {
    const odd = `const a = '}'; const b = \`}\${'{'}\`; const c = /[}]/ // }\n`
    const tree = { 'a.ts': `\nfunction run() {\n${odd}${linesOf(60)}}\n` }

    expect(placesFound(checkSizes, tree)).toEqual(['a.ts:2'])
  })

  test.each(["describe('a', () => {", "describe.each(rows)('a', () => {", 'export function contract() {'])(
    'a list of tests may be long: %s',
    (head) => {
      const foot = head.startsWith('describe') ? '})' : '}'

      expect(
        messagesFound(checkSizes, { 'a.test.ts': `${head}\n${linesOf(80)}test('b', run)\n${foot}\n` }),
      ).toEqual([])
    },
  )

  test('one test may not', () => {
    const tree = { 'a.test.ts': `describe('a', () => {\ntest('b', () => {\n${linesOf(60)}})\n})\n` }

    expect(placesFound(checkSizes, tree)).toEqual(['a.test.ts:2'])
  })
})
