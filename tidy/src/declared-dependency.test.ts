import { expect, test } from 'vitest'
import { checkDeclaredDependencies } from './declared-dependency.ts'
import { manifest, messagesFound, placesFound, type TestTree } from './test-tree.ts'

function importing(path: string, specifier: string): TestTree {
  return {
    'package.json': manifest('root', { devDependencies: { vitest: '4' } }),
    'packages/engine/package.json': manifest('@millrace/engine', {
      dependencies: { '@millrace/protocol': '1' },
      peerDependencies: { react: '1' },
      devDependencies: { 'fast-check': '4' },
    }),
    'bench/package.json': manifest('@millrace/bench', { devDependencies: { autocannon: '1' } }),
    [path]: `import { a } from '${specifier}'\n`,
  }
}

test.each([
  ['a dependency', 'packages/engine/src/a.ts', '@millrace/protocol'],
  ['a peer dependency', 'packages/engine/src/a.ts', 'react'],
  ['a module of Node', 'packages/engine/src/a.ts', 'node:fs'],
  ['a file of its own', 'packages/engine/src/a.ts', './b.ts'],
  ['its own package', 'packages/engine/src/a.ts', '@millrace/engine'],
  ['a development dependency in a test', 'packages/engine/src/a.test.ts', 'fast-check'],
  ["the root's development dependency in a test", 'packages/engine/src/a.test.ts', 'vitest'],
  ['what tests share', 'packages/engine/src/test-clock.ts', 'vitest'],
  ['a development dependency of a private workspace', 'bench/src/a.ts', 'autocannon'],
  ["the root's development dependency at the root", 'vitest.config.ts', 'vitest/config'],
])('may be imported: %s', (_, path, specifier) => {
  expect(placesFound(checkDeclaredDependencies, importing(path, specifier))).toEqual([])
})

test.each([
  ['an unknown package', 'packages/engine/src/a.ts', 'left-pad'],
  ['a workspace package that is not listed', 'packages/engine/src/a.ts', '@millrace/server'],
  ['a development dependency in delivered code', 'packages/engine/src/a.ts', 'fast-check'],
  ["the root's development dependency in delivered code", 'packages/engine/src/a.ts', 'vitest'],
  ['a module of Node without its prefix', 'packages/engine/src/a.ts', 'fs'],
  ["another package's development dependency in a test", 'packages/engine/src/a.test.ts', 'autocannon'],
])('may not be imported: %s', (_, path, specifier) => {
  expect(placesFound(checkDeclaredDependencies, importing(path, specifier))).toEqual([`${path}:1`])
})

test('the message names the manifest to change', () => {
  expect(
    messagesFound(checkDeclaredDependencies, importing('packages/engine/src/a.ts', '@scope/a/b')),
  ).toEqual(['@scope/a is not declared: add it to packages/engine/package.json'])
})
