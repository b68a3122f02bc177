import { expect, test } from 'vitest'
import { manifest, messagesFound, placesFound } from './test-tree.ts'
import { checkUnusedFiles } from './unused-file.ts'

const engine = { 'packages/engine/package.json': manifest('@millrace/engine') }

test('a file that nothing leads to is found', () => {
  const tree = { ...engine, 'packages/engine/src/index.ts': '', 'packages/engine/src/alone.ts': '' }

  expect(messagesFound(checkUnusedFiles, tree)).toEqual([
    'no entry point of its package leads to it: use it or delete it',
  ])
})

test('a file that only its test uses is found', () => {
  const tree = {
    ...engine,
    'packages/engine/src/index.ts': '',
    'packages/engine/src/alone.ts': '',
    'packages/engine/src/alone.test.ts': "import './alone.ts'",
  }

  expect(placesFound(checkUnusedFiles, tree)).toEqual(['packages/engine/src/alone.ts:1'])
})

test('two files that only lead to each other are found', () => {
  const tree = {
    ...engine,
    'packages/engine/src/index.ts': '',
    'packages/engine/src/a.ts': "import './b.ts'",
    'packages/engine/src/b.ts': "import './a.ts'",
  }

  expect(placesFound(checkUnusedFiles, tree)).toHaveLength(2)
})

test('every way to name a file leads to it', () => {
  const tree = {
    ...engine,
    'packages/engine/src/index.ts': "export { a } from './a.ts'\nexport * from './b.ts'",
    'packages/engine/src/a.ts': "import type { C } from './c.ts'\nconst d = await import('./d.ts')",
    'packages/engine/src/b.ts': "new Worker(new URL('./e.js', import.meta.url))\nlet f: import('./f.ts').F",
    'packages/engine/src/c.ts': '',
    'packages/engine/src/d.ts': '',
    'packages/engine/src/e.ts': '',
    'packages/engine/src/f.ts': '',
  }

  expect(placesFound(checkUnusedFiles, tree)).toEqual([])
})

test('each export and the command are entry points', () => {
  const exports = {
    '.': { 'millrace-source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' },
    './contract': './dist/contract.js',
  }
  const tree = {
    'packages/cli/package.json': manifest('millrace', { exports, bin: { millrace: 'bin/millrace.js' } }),
    'packages/cli/src/index.ts': '',
    'packages/cli/src/contract.ts': '',
    'packages/cli/src/main.ts': '',
  }

  expect(placesFound(checkUnusedFiles, tree)).toEqual([])
})

test('what tests share has to be used by a test', () => {
  const tree = {
    ...engine,
    'packages/engine/src/index.ts': '',
    'packages/engine/src/test-clock.ts': '',
    'packages/engine/src/test-disk.ts': '',
    'packages/engine/src/a.test.ts': "import './test-clock.ts'",
  }

  expect(placesFound(checkUnusedFiles, tree)).toEqual(['packages/engine/src/test-disk.ts:1'])
})

test('only packages are looked at', () => {
  const tree = { 'bench/package.json': manifest('@millrace/bench'), 'bench/src/alone.ts': '' }

  expect(placesFound(checkUnusedFiles, tree)).toEqual([])
})
