import { describe, expect, test } from 'vitest'
import { checkImportDirection, packageNameOf } from './import-direction.ts'
import { manifest, messagesFound, placesFound, type TestTree } from './test-tree.ts'

const layers = [
  'protocol',
  'engine',
  'storage-file',
  'server',
  'client',
  'state',
  'event-sourcing',
  'console',
]
const packages: TestTree = {
  ...Object.fromEntries(
    layers.map((layer) => [`packages/${layer}/package.json`, manifest(`@millrace/${layer}`)]),
  ),
  'packages/cli/package.json': manifest('millrace'),
  'bench/package.json': manifest('@millrace/bench'),
}

function importing(from: string, specifier: string): TestTree {
  return { ...packages, [from]: `import { a } from '${specifier}'\n` }
}

describe('layers', () => {
  test.each([
    ['engine', 'protocol'],
    ['storage-file', 'engine'],
    ['storage-file', 'protocol'],
    ['server', 'engine'],
    ['server', 'protocol'],
    ['client', 'protocol'],
    ['state', 'client'],
    ['event-sourcing', 'client'],
    ['console', 'client'],
    ['cli', 'storage-file'],
    ['cli', 'server'],
  ])('%s may import %s', (from, to) => {
    expect(
      placesFound(checkImportDirection, importing(`packages/${from}/src/a.ts`, `@millrace/${to}`)),
    ).toEqual([])
  })

  test.each([
    ['engine', 'server'],
    ['engine', 'client'],
    ['storage-file', 'server'],
    ['client', 'engine'],
    ['server', 'client'],
    ['state', 'event-sourcing'],
    ['console', 'server'],
  ])('%s may not import %s', (from, to) => {
    const path = `packages/${from}/src/a.ts`

    expect(placesFound(checkImportDirection, importing(path, `@millrace/${to}`))).toEqual([`${path}:1`])
  })

  test('the message says what is allowed', () => {
    expect(messagesFound(checkImportDirection, importing('packages/server/src/a.ts', 'millrace'))).toEqual([
      'server may import protocol, engine, not millrace',
    ])
  })

  test('tests are held to the layers as well', () => {
    const tree = importing('packages/client/src/a.test.ts', '@millrace/engine')

    expect(placesFound(checkImportDirection, tree)).toEqual(['packages/client/src/a.test.ts:1'])
  })

  test('what is not a package may import anything', () => {
    expect(placesFound(checkImportDirection, importing('bench/src/a.ts', '@millrace/engine'))).toEqual([])
  })

  test('a package without a place among the layers is reported', () => {
    const tree = { 'packages/gadget/package.json': manifest('@millrace/gadget') }

    expect(placesFound(checkImportDirection, tree)).toEqual(['packages/gadget/package.json:1'])
  })

  test.each([
    ['a re-export', `export { a } from '@millrace/server'`],
    ['a type import', `import type { A } from '@millrace/server'`],
    ['an import expression', `const a = await import('@millrace/server')`],
    ['an import type', `export type A = import('@millrace/server').A`],
    ['a path inside the package', `import { a } from '@millrace/server/inner'`],
  ])('%s is an import too', (_, text) => {
    const tree = { ...packages, 'packages/engine/src/a.ts': `\n${text}\n` }

    expect(placesFound(checkImportDirection, tree)).toEqual(['packages/engine/src/a.ts:2'])
  })
})

describe('protocol', () => {
  test.each(['node:buffer', 'left-pad', '@millrace/engine'])('may not import %s', (specifier) => {
    const tree = importing('packages/protocol/src/a.ts', specifier)

    expect(placesFound(checkImportDirection, tree)).toEqual(['packages/protocol/src/a.ts:1'])
  })

  test.each(['node:fs', 'vitest', 'fast-check'])('may import %s in tests', (specifier) => {
    expect(
      placesFound(checkImportDirection, importing('packages/protocol/src/a.test.ts', specifier)),
    ).toEqual([])
  })
})

describe('relative imports', () => {
  test('stay inside the package', () => {
    const tree = importing('packages/server/src/a.ts', '../../engine/src/b.ts')

    expect(messagesFound(checkImportDirection, tree)).toEqual([
      '../../engine/src/b.ts leaves the package: import the other one by its name',
    ])
  })

  test('stay inside it outside packages/ too', () => {
    const tree = importing('bench/src/a.ts', '../../packages/engine/src/b.ts')

    expect(placesFound(checkImportDirection, tree)).toEqual(['bench/src/a.ts:1'])
  })

  test('end in .ts', () => {
    expect(placesFound(checkImportDirection, importing('bench/src/a.ts', './b.ts'))).toEqual([])
    expect(placesFound(checkImportDirection, importing('bench/src/a.ts', './b.js'))).toEqual([
      'bench/src/a.ts:1',
    ])
    expect(placesFound(checkImportDirection, importing('packages/cli/bin/a.js', '../dist/main.js'))).toEqual(
      [],
    )
  })
})

test('a URL of a worker has the ending that it has once built', () => {
  const tree = { ...packages, 'bench/src/a.ts': "const worker = new URL('./worker.js', import.meta.url)" }

  expect(placesFound(checkImportDirection, tree)).toEqual([])
})

test('the engine must not even mention a storage package', () => {
  const tree = { ...packages, 'packages/engine/src/a.ts': '// the port\n// as storage-file does it\n' }

  expect(messagesFound(checkImportDirection, tree)).toEqual([
    'the engine must not name storage-file: speak of the port',
  ])
})

test.each([
  ['vitest/config', 'vitest'],
  ['@millrace/engine', '@millrace/engine'],
  ['@millrace/engine/inner/part', '@millrace/engine'],
])('the package of %s is %s', (specifier, name) => {
  expect(packageNameOf(specifier)).toBe(name)
})
