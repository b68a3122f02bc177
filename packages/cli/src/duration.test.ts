import { describe, expect, test } from 'vitest'
import { parseDurationMs } from './duration.ts'

describe('a duration', () => {
  test.each([
    ['400ms', 400],
    ['0ms', 0],
    ['1.5ms', 1.5],
    ['30s', 30_000],
    ['0.4s', 400],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['0.5h', 1_800_000],
    ['0', 0],
    ['30', 30_000],
    ['2.5', 2500],
    ['007s', 7000],
    [' 30s ', 30_000],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms)
  })

  test.each([
    '',
    ' ',
    's',
    'ms',
    '-1s',
    '+1s',
    '1e3',
    '1,5s',
    '.5s',
    '5.s',
    '5.',
    '1 s',
    '1S',
    '1MS',
    '1d',
    '1w',
    '1min',
    '1s2',
    '1m30s',
    '0x10',
    'Infinity',
    'NaN',
    '\u0663s',
    '1s\n2s',
  ])('%j is none', (text) => {
    expect(parseDurationMs(text)).toBeUndefined()
  })
})
