import { expect, test } from 'vitest'
import { checkPrivateReferences } from './private-reference.ts'
import { messagesFound, placesFound } from './test-tree.ts'

// Put together, so that this file itself has none of them.
const word = 'issue'

test.each([
  ['a path of one machine', ['', 'work', 'main'].join('/')],
  ['a path outside the repository', ['..', 'shared', 'notes.md'].join('/')],
  ['a number sign', `${word} #12`],
  ['a bare number', `see ${word} 2 for why`],
  ['the plural', `${word}s 2 and 3`],
  ['a capital', `Issue${' '}#2`],
])('%s is found', (_, text) => {
  expect(placesFound(checkPrivateReferences, { 'docs/a.md': `# A\n\n${text}\n` })).toEqual(['docs/a.md:3'])
})

test.each([
  'https://github.com/nodejs/node/issues/12345',
  'the issue is closed',
  'an open session',
  'workflow/work',
  'a shared cache',
])('%s is no offence', (text) => {
  expect(messagesFound(checkPrivateReferences, { 'docs/a.md': text })).toEqual([])
})
