import { expect, test } from 'vitest'
import { messagesFound, placesFound } from './test-tree.ts'
import { checkVagueWords, wordsOf } from './vague-word.ts'

const vague = ['util', 'utils', 'helper', 'helpers', 'manager', 'common', 'misc', 'base']
const vagueToo = ['impl', 'service', 'core', 'shared', 'types']

test.each([...vague, ...vagueToo])('%s is found in a file name', (word) => {
  const path = `packages/engine/src/stream-${word}.ts`

  expect(placesFound(checkVagueWords, { [path]: '' })).toEqual([`${path}:1`])
})

test.each(['packages/core/src/a.ts', 'docs/misc/a.md', 'packages/engine/src/types.test.ts'])(
  '%s is found by its path',
  (path) => {
    expect(placesFound(checkVagueWords, { [path]: '' })).toEqual([`${path}:1`])
  },
)

test.each(['class StreamManager {}', 'export class BaseStore {}', 'const a = class HTTPHelper {}'])(
  '%s is found by its class name',
  (text) => {
    expect(placesFound(checkVagueWords, { 'a.ts': `\n${text}\n` })).toEqual(['a.ts:2'])
  },
)

test.each([
  ['a longer word', 'packages/engine/src/basement.ts', ''],
  ['the singular', 'packages/engine/src/media-type.ts', ''],
  ['a JSON file, whose name a tool prescribes', 'tsconfig.base.json', '{}'],
  ['a function name', 'a.ts', 'function baseUrl() {}'],
  ['a class without a name', 'a.ts', 'const a = class {}'],
])('%s is no offence', (_, path, text) => {
  expect(messagesFound(checkVagueWords, { [path]: text })).toEqual([])
})

test.each([
  ['media-type.test.ts', ['media', 'type', 'test', 'ts']],
  ['HTTPServiceV2', ['http', 'service', 'v2']],
  ['streamWriter_old', ['stream', 'writer', 'old']],
])('the words of %s', (name, words) => {
  expect(wordsOf(name)).toEqual(words)
})
