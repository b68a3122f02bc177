import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { logAt } from './log.ts'

beforeEach(() => {
  vi.stubEnv('NO_COLOR', '1')
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  vi.spyOn(console, 'log').mockImplementation(() => undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

test.each([
  ['off', [], []],
  ['error', ['an error'], []],
  ['warn', ['an error', 'a warning'], []],
  ['info', ['an error', 'a warning'], ['news']],
  ['debug', ['an error', 'a warning', 'a request'], ['news']],
  ['trace', ['an error', 'a warning', 'a request'], ['news']],
] as const)('%s prints what it and the levels before it have', (level, onStderr, onStdout) => {
  const log = logAt(level)
  log.error('an error')
  log.warn('a warning')
  log.info('news')
  log.request?.({ method: 'GET', path: '/a b\u001b[2J', status: 200, elapsedMs: 1 })

  const printed = vi.mocked(console.error).mock.calls.map(([text]) => String(text))
  const requests = printed.filter((line) => line.includes('GET /a?b?[2J 200 1.0ms'))
  expect(printed.filter((line) => !requests.includes(line))).toEqual(
    onStderr.filter((text) => text !== 'a request'),
  )
  expect(requests.length).toBe(onStderr.filter((text) => text === 'a request').length)
  expect(vi.mocked(console.log).mock.calls.map(([text]) => text)).toEqual(onStdout)
})
