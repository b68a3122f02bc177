import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { _resetHttpWarningForTesting, warnIfUsingHttpInBrowser } from './http-warning.ts'

const warn = vi.fn()

beforeEach(() => {
  _resetHttpWarningForTesting()
  warn.mockClear()
  vi.stubGlobal('process', undefined)
  vi.stubGlobal('console', { warn })
  vi.stubGlobal('window', { location: { href: 'http://app.example/page' } })
})

afterEach(() => {
  vi.unstubAllGlobals()
})

it('warns once for an origin, with its port (C-093)', () => {
  for (const url of ['http://a.example/1', new URL('http://a.example/2'), 'http://a.example:8080/1', '/own'])
    warnIfUsingHttpInBrowser(url)
  warnIfUsingHttpInBrowser('/again')

  expect(warn.mock.calls.map(([text]) => /https?:\/\/\S+/.exec(text)?.[0])).toEqual([
    'http://a.example',
    'http://a.example:8080',
    'http://app.example',
  ])
  _resetHttpWarningForTesting()
  warnIfUsingHttpInBrowser('/own')
  expect(warn).toHaveBeenCalledTimes(4)
})

it.each([
  ['https', 'https://a.example/', undefined],
  ['an option', 'http://a.example/', false],
  ['a URL that can not be parsed', 'http://', undefined],
])('does not warn: %s (C-093)', (_, url, option) => {
  warnIfUsingHttpInBrowser(url, option)

  expect(warn).not.toHaveBeenCalled()
})

it('does not warn in tests, without a console or outside browsers (C-093)', () => {
  vi.stubGlobal('process', { env: { NODE_ENV: 'test' } })
  warnIfUsingHttpInBrowser('http://a.example/')
  vi.stubGlobal('process', undefined)
  vi.stubGlobal('console', undefined)
  warnIfUsingHttpInBrowser('http://a.example/')
  vi.stubGlobal('console', { warn })
  vi.stubGlobal('window', undefined)
  warnIfUsingHttpInBrowser('http://a.example/')

  expect(warn).not.toHaveBeenCalled()
})
