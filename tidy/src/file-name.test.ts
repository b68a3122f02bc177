import { expect, test } from 'vitest'
import { checkFileNames } from './file-name.ts'
import { placesFound } from './test-tree.ts'

test.each([
  'src/offset.ts',
  'src/group-commit.ts',
  'src/node-http-adapter.ts',
  'src/group-commit.test.ts',
  'src/http2-adapter.mjs',
  'vitest.config.ts',
  'README.md',
  'docs/a-very-long-name-of-a-page.md',
])('%s is well named', (path) => {
  expect(placesFound(checkFileNames, { [path]: '' })).toEqual([])
})

test.each([
  'src/groupCommit.ts',
  'src/GroupCommit.ts',
  'src/group_commit.ts',
  'src/one-two-three-four.ts',
  'src/group-commit.spec.ts',
  'src/2-phase.ts',
  'bin/Run.js',
])('%s is not', (path) => {
  expect(placesFound(checkFileNames, { [path]: '' })).toEqual([`${path}:1`])
})
