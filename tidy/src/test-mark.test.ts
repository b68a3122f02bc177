import { expect, test } from 'vitest'
import { checkTestMarks } from './test-mark.ts'
import { messagesFound, placesFound } from './test-tree.ts'

test.each([
  "it.skip('a', run)",
  "it.only('a', run)",
  "it.todo('a')",
  "test.skip('a', run)",
  "test.concurrent.only('a', run)",
  "test.only.each(rows)('a', run)",
  "describe.skip('a', run)",
  "describe.only('a', run)",
  "test('a', { skip: true }, run)",
])('%s is found', (text) => {
  expect(placesFound(checkTestMarks, { 'a.test.ts': `\n${text}\n` })).toEqual(['a.test.ts:2'])
})

test.each([
  "it.skipIf(missing)('a', run)",
  "describe.runIf(present)('a', run)",
  "test.each([{ only: 1 }])('a', run)",
  "test('a', () => iterator.skip(2))",
  'reader.only()',
  "// it.skip('a')",
])('%s is no offence', (text) => {
  expect(messagesFound(checkTestMarks, { 'a.test.ts': text })).toEqual([])
})
