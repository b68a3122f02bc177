import { expect, test } from 'vitest'
import { checkCommentMarks } from './comment-mark.ts'
import { messagesFound, placesFound } from './test-tree.ts'

test.each([
  '// TODO: later',
  '/* FIXME */',
  '/** XXX odd */',
  'const a = 1 // TODO',
  '// @ts-ignore',
  '// @ts-nocheck',
  '// biome-ignore lint/suspicious/noExplicitAny',
  '// biome-ignore lint/suspicious/noExplicitAny:',
  '// biome-ignore-all lint/suspicious/noExplicitAny: ',
])('%s is found', (comment) => {
  expect(placesFound(checkCommentMarks, { 'a.ts': `\n${comment}\n` })).toEqual(['a.ts:2'])
})

test.each([
  '// biome-ignore lint/suspicious/noExplicitAny: the type of the library is wrong',
  '// biome-ignore-start lint/suspicious/noConsole: a command prints',
  '// @ts-expect-error: refused at compile time',
  "const a = '// TODO'",
  '// todos, XXXL',
])('%s is no offence', (text) => {
  expect(messagesFound(checkCommentMarks, { 'a.ts': text })).toEqual([])
})
