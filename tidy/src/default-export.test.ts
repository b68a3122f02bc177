import { expect, test } from 'vitest'
import { checkDefaultExports } from './default-export.ts'
import { placesFound } from './test-tree.ts'

test.each([
  'export default function run() {}',
  'export default class {}',
  'export default 1',
  'const a = 1; export { a as default }',
  "export { default } from './b.ts'",
])('%s is found', (text) => {
  expect(placesFound(checkDefaultExports, { 'a.ts': `\n${text}\n` })).toEqual(['a.ts:2'])
})

test.each([
  ['a named export', 'a.ts', 'export const a = 1'],
  ["a package's default import", 'a.ts', "import a from 'a'"],
  ['a configuration file', 'vitest.config.ts', 'export default {}'],
])('%s is no offence', (_, path, text) => {
  expect(placesFound(checkDefaultExports, { [path]: text })).toEqual([])
})
