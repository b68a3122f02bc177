import { expect, it } from 'vitest'
import { isLogFilter, logLevelIn } from './log-level.ts'

it.each([
  ['info', 'info', true],
  ['DEBUG', 'debug', true],
  ['hyper=debug,warn', 'warn', true],
  ['info,millrace=debug', 'debug', true],
  ['durable_streams_server=trace, error', 'trace', true],
  ['hyper=debug', undefined, true],
  ['verbose', undefined, false],
  ['millrace=verbose', undefined, false],
  ['', undefined, false],
])('%j says %s of us', (filter, level, isFilter) => {
  expect([logLevelIn(filter), isLogFilter(filter)]).toEqual([level, isFilter])
})
