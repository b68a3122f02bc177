import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { FreshToken } from './fresh-token.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function counted(expiresInMs: number): FreshToken {
  let made = 0
  return new FreshToken(async () => {
    made += 1
    return { token: `token ${made}`, expiresInMs }
  })
}

it('is made once for many who ask, and again when half of its life is over', async () => {
  const tokens = counted(10_000)
  expect(await Promise.all([tokens.get(), tokens.get()])).toEqual(['token 1', 'token 1'])
  vi.advanceTimersByTime(4_999)
  expect(await tokens.get()).toBe('token 1')
  vi.advanceTimersByTime(1)
  expect(await Promise.all([tokens.get(), tokens.get()])).toEqual(['token 2', 'token 2'])
})

it('is made again after a refusal', async () => {
  const tokens = counted(10_000)
  await tokens.get()
  tokens.forget()
  expect(await tokens.get()).toBe('token 2')
})

it('is made again after it could not be made', async () => {
  let isDown = true
  const tokens = new FreshToken(async () => {
    if (isDown) throw new Error('down')
    return { token: 'up', expiresInMs: 10_000 }
  })
  await expect(Promise.all([tokens.get(), tokens.get()])).rejects.toThrow('down')
  isDown = false
  expect(await tokens.get()).toBe('up')
})
