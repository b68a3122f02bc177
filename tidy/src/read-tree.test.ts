import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readTree } from './read-tree.ts'

let root = ''

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidy-'))
})

afterEach(() => {
  rmSync(root, { recursive: true })
})

function write(path: string, text = 'text'): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

test('reads sources, pages and scripts with their paths', () => {
  for (const path of ['README.md', '.ci/run', 'packages/engine/src/a.ts', 'docs/data/a.md']) write(path)

  expect(
    readTree(root)
      .map(({ path }) => path)
      .sort(),
  ).toEqual(['.ci/run', 'README.md', 'docs/data/a.md', 'packages/engine/src/a.ts'])
})

test.each([
  'node_modules/a/index.js',
  'packages/engine/dist/index.js',
  'test-results/report.json',
  '.git/config',
  '.cache/a.ts',
  'data/journal.txt',
  'package-lock.json',
])('leaves out %s', (path) => {
  write(path)

  expect(readTree(root)).toEqual([])
})

test('leaves out what is not text or too large', () => {
  write('picture.png', 'a\0b')
  write('large.txt', 'x'.repeat(1024 * 1024 + 1))

  expect(readTree(root)).toEqual([])
})
