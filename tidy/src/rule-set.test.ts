import { expect, test } from 'vitest'
import { formatFinding } from './finding.ts'
import { checkTree } from './rule-set.ts'
import { manifest } from './test-tree.ts'

const clean = [
  { path: 'packages/engine/package.json', text: manifest('@millrace/engine') },
  { path: 'packages/engine/src/index.ts', text: '/** One. */\nexport const one = 1\n' },
]

test('a clean tree has no findings', () => {
  expect(checkTree(clean)).toEqual([])
})

test('findings of all rules come in the order of files and lines', () => {
  const offences = [
    { path: 'packages/engine/src/z.ts', text: 'export default 1\n' },
    { path: 'packages/engine/src/index.ts', text: 'console.log(1)\n// TODO\n' },
  ]
  const lines = checkTree([...clean.slice(0, 1), ...offences]).map(formatFinding)

  expect(lines.map((line) => line.split(': ').slice(0, 2).join(' '))).toEqual([
    'packages/engine/src/index.ts:1 ambient-world',
    'packages/engine/src/index.ts:2 comment-mark',
    'packages/engine/src/z.ts:1 default-export',
    'packages/engine/src/z.ts:1 unused-file',
  ])
})

test('a file that cannot be parsed is a finding', () => {
  const findings = checkTree([{ path: 'a.ts', text: 'const = 1' }])

  expect(findings.map(({ path, rule }) => `${path} ${rule}`)).toEqual(['a.ts syntax'])
})

test('a finding reads as a place, a rule and what to do', () => {
  expect(formatFinding({ path: 'a.ts', line: 3, rule: 'size-limit', message: 'split it' })).toBe(
    'a.ts:3: size-limit: split it',
  )
})
