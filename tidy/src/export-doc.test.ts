import { describe, expect, test } from 'vitest'
import { checkExportDocs } from './export-doc.ts'
import { manifest, messagesFound, placesFound, type TestTree } from './test-tree.ts'

function engine(index: string, more: Readonly<Record<string, string>> = {}): TestTree {
  const files = Object.entries(more).map(([name, text]) => [`packages/engine/src/${name}`, text])
  return {
    'packages/engine/package.json': manifest('@millrace/engine'),
    'packages/engine/src/index.ts': index,
    ...Object.fromEntries(files),
  }
}

describe('a declaration', () => {
  const declarations = [
    'export const a = 1',
    'export function a() {}',
    'export class a {}',
    'export interface a {}',
    'export type a = 1',
    'export enum a {}',
    'export abstract class a {}',
    'export async function a() {}',
  ]

  test.each(declarations)('without a comment is found: %s', (declaration) => {
    expect(placesFound(checkExportDocs, engine(`\n${declaration}\n`))).toEqual([
      'packages/engine/src/index.ts:2',
    ])
  })

  test.each(declarations)('with one is not: %s', (declaration) => {
    expect(messagesFound(checkExportDocs, engine(`/** Says it. */\n${declaration}\n`))).toEqual([])
  })

  test.each([
    ['a plain comment', '/* Says it. */\nexport const a = 1'],
    ['a line comment', '// Says it.\nexport const a = 1'],
    ['the header of the file', '/** The file. */\n\nexport const a = 1'],
    ['the comment of what stands before', '/** Says it. */\nconst b = 1\nexport const a = b'],
  ])('is not documented by %s', (_, text) => {
    expect(placesFound(checkExportDocs, engine(text))).toHaveLength(1)
  })

  test('may have a suppression between comment and declaration', () => {
    const text = '/** Says it. */\n// biome-ignore lint/a: because\nexport const a = 1'

    expect(messagesFound(checkExportDocs, engine(text))).toEqual([])
  })

  test('with overloads needs one comment', () => {
    const text = '/** Says it. */\nexport function a(): void\nexport function a(b?: 1): void {}'

    expect(messagesFound(checkExportDocs, engine(text))).toEqual([])
  })
})

describe('a re-export is followed to the declaration', () => {
  const bare = 'export const a = 1\n'

  test.each([
    ['by name', "export { a } from './b.ts'"],
    ['by another name', "export { a as z } from './b.ts'"],
    ['as a type', "export type { a } from './b.ts'"],
    ['as a whole', "export * from './b.ts'"],
    ['under one name', "export * as b from './b.ts'"],
    ['through an import', "import { a } from './b.ts'\nexport { a }"],
  ])('%s', (_, index) => {
    expect(placesFound(checkExportDocs, engine(index, { 'b.ts': bare }))).toEqual([
      'packages/engine/src/b.ts:1',
    ])
  })

  test('over several files', () => {
    const more = { 'b.ts': "export * from './c.ts'", 'c.ts': "export { a as b } from './d.ts'", 'd.ts': bare }

    expect(placesFound(checkExportDocs, engine("export { b } from './b.ts'", more))).toEqual([
      'packages/engine/src/d.ts:1',
    ])
  })

  test('declared apart from its export', () => {
    expect(placesFound(checkExportDocs, engine('const a = 1\nexport { a as b }'))).toEqual([
      'packages/engine/src/index.ts:1',
    ])
  })

  test('and not beyond what is exported', () => {
    const more = { 'b.ts': `/** Says it. */\n${bare}export const hidden = 1\n` }

    expect(messagesFound(checkExportDocs, engine("export { a } from './b.ts'", more))).toEqual([])
  })

  test('and ends in a circle too', () => {
    const more = { 'b.ts': "export * from './index.ts'\nexport const a = 1" }

    expect(placesFound(checkExportDocs, engine("export * from './b.ts'", more))).toHaveLength(1)
  })

  test('of another package is documented there', () => {
    expect(messagesFound(checkExportDocs, engine("export { a } from '@millrace/protocol'"))).toEqual([])
  })
})

test('what no index exports may go without', () => {
  expect(messagesFound(checkExportDocs, engine('', { 'b.ts': 'export const a = 1' }))).toEqual([])
})
