import { createHash } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { runMillrace } from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000 })

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

test('key create --json prints a key and an entry that has its hash only', async () => {
  const scopes = ['--scope', 'read:orders/*', '--scope', 'create,append:invoices/**']
  const { code, stdout, stderr } = await runMillrace(['key', 'create', 'billing', ...scopes, '--json'])
  const { key, entry } = JSON.parse(stdout)

  expect([code, stderr]).toEqual([0, ''])
  expect(key).toMatch(/^mrk_billing_[A-Za-z0-9_-]{43}$/)
  const written = { id: 'billing', hash: sha256(key), scopes: ['read:orders/*', 'create,append:invoices/**'] }
  expect(entry).toEqual(written)
})

test('key create prints both for people, and says that a key without scopes permits nothing', async () => {
  const { code, stdout, stderr } = await runMillrace(['key', 'create'])
  const key = /mrk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/m.exec(stdout)?.[0] ?? ''

  expect(code).toBe(0)
  expect(stdout).toContain(`"hash":"${sha256(key)}"`)
  expect(stderr).toContain('add --scope')
})

test.each([
  [['--scope', 'read'], /"read" is no scope/],
  [['--scope', 'read:/orders'], /without a leading slash/],
  [['a b'], /letters, digits and hyphens, not a b/],
])('key create %j is refused with a sentence', async (args, message) => {
  const { code, stdout, stderr } = await runMillrace(['key', 'create', ...args])

  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(message)
  expect(stderr).not.toMatch(/^\s+at /m)
})
