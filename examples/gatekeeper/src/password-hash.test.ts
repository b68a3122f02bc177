import { expect, it } from 'vitest'
import { hashPassword, isPassword } from './password-hash.ts'

it('knows its password again, and no other', async () => {
  const stored = await hashPassword('pässword')
  expect(stored).not.toContain('pässword')
  expect(await isPassword('pässword', stored)).toBe(true)
  // The same letters as another keyboard may send them.
  expect(await isPassword('pa\u0308ssword', stored)).toBe(true)
  expect(await isPassword('Pässword', stored)).toBe(false)
  expect(await isPassword('', stored)).toBe(false)
})

it('has a salt of its own each time', async () => {
  expect(await hashPassword('the same one')).not.toBe(await hashPassword('the same one'))
})

it('can be checked with the costs that it was made with', async () => {
  // RFC 7914, section 12: N = 1024, r = 8, p = 16, the first 32 of its 64 bytes.
  const key = 'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162'
  const stored = `scrypt$10$8$16$${Buffer.from('NaCl').toString('base64')}$${Buffer.from(key, 'hex').toString('base64')}`
  expect(await isPassword('password', stored)).toBe(true)
})

it('refuses what is no hash of it', async () => {
  await expect(isPassword('a', 'md5$aaaa')).rejects.toThrow('not of a kind')
})
