import { describe, expect, it } from 'vitest'
import { MOST_TOKENS, TokenCache } from './auth-token-cache.ts'

const [KEYS, OTHER_KEYS] = [{}, {}]

describe('a token that was found valid', () => {
  it('is known until it expires', () => {
    let nowMs = 0
    const cache = new TokenCache<string>(() => nowMs)
    cache.add('token', KEYS, 'alice', 1000)
    nowMs = 999
    expect([cache.find('token', KEYS), cache.find('tokem', KEYS)]).toEqual(['alice', undefined])
    nowMs = 1000
    expect([cache.find('token', KEYS), cache.size]).toEqual([undefined, 0])
  })

  it('is checked again with other keys', () => {
    const cache = new TokenCache<string>(() => 0)
    cache.add('token', KEYS, 'alice', 1000)
    expect(cache.find('token', OTHER_KEYS)).toBeUndefined()
    expect(cache.find('token', KEYS)).toBeUndefined()
  })

  it('is forgotten for newer ones at the bound', () => {
    const cache = new TokenCache<number>(() => 0)
    for (let i = 0; i <= MOST_TOKENS; i++) cache.add(`token ${i}`, KEYS, i, 1000)
    expect(cache.size).toBe(MOST_TOKENS)
    expect([cache.find('token 0', KEYS), cache.find('token 1', KEYS)]).toEqual([undefined, 1])
  })
})
