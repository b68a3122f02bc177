import { describe, expect, test } from 'vitest'
import { checkAmbientWorld } from './ambient-world.ts'
import { manifest, messagesFound, placesFound, type TestTree } from './test-tree.ts'

function engineFile(text: string, path = 'packages/engine/src/a.ts'): TestTree {
  return {
    'packages/protocol/package.json': manifest('@millrace/protocol'),
    'packages/engine/package.json': manifest('@millrace/engine'),
    'packages/server/package.json': manifest('@millrace/server'),
    [path]: text,
  }
}

describe('reaches outside', () => {
  test.each([
    'const now = Date.now()',
    'const now = new Date()',
    'const now = new Date',
    'const now = Date()',
    'const now = performance.now()',
    'const chance = Math.random()',
    'const id = crypto.randomUUID()',
    'const id = randomUUID()',
    'setTimeout(wake, 10)',
    'setInterval(wake, 10)',
    'setImmediate(wake)',
    'clearTimeout(timer)',
    'const home = process.env.HOME',
    "import { readFile } from 'node:fs'",
    "import type { Readable } from 'node:stream'",
    "const fs = await import('node:fs')",
    "const answer = await fetch('http://127.0.0.1')",
    "console.log('here')",
    'const signal = AbortSignal.timeout(5)',
    'const now = globalThis.Date.now()',
    'const wait = globalThis.setTimeout',
    'const clock = { wait: setTimeout }',
    'const clock = { setTimeout }',
    'export function run(wait = setTimeout) { wait() }',
  ])('%s', (text) => {
    expect(placesFound(checkAmbientWorld, engineFile(`\n${text}\n`))).toContain('packages/engine/src/a.ts:2')
  })
})

describe('stays inside', () => {
  test.each([
    "const at = Date.parse('2024-10-09T00:00:00Z')",
    'const at = new Date(ms)',
    'const at = Math.floor(1.5)',
    'clock.setTimeout(wake, 10)',
    'interface Clock { setTimeout(ms: number): void; fetch: () => void }',
    'const port = { fetch: load, process() {} }',
    'class Port { fetch(): void {} crypto = 1 }',
    'function apply(process: () => void): void { process() }',
    'function apply({ fetch, crypto: [process] }: Ports): void { fetch(process) }',
    'const { console = quiet, ...performance } = ports\nconsole.log(performance)',
    "import { fetch } from './port.ts'\nfetch()",
    '// console.log in a comment',
    "const text = 'Date.now()'",
  ])('%s', (text) => {
    expect(messagesFound(checkAmbientWorld, engineFile(text))).toEqual([])
  })
})

test.each([
  ['the rules', 'packages/protocol/src/a.ts', 1],
  ['the engine', 'packages/engine/src/a.ts', 1],
  ['a test of the engine', 'packages/engine/src/a.test.ts', 0],
  ['what its tests share', 'packages/engine/src/test-clock.ts', 0],
  ['a fixture', 'packages/engine/src/clock.fixture.ts', 0],
  ['the server', 'packages/server/src/a.ts', 0],
])('holds for %s: %s', (_, path, count) => {
  expect(placesFound(checkAmbientWorld, engineFile('Date.now()', path))).toHaveLength(count)
})
