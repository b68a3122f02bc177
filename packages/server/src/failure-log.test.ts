import { Fault } from '@millrace/engine'
import { expect, test } from 'vitest'
import { FailureLog } from './failure-log.ts'

const REASON = 'The disk failed.'

test('a store that refuses writes is told once, and again after it took some', () => {
  const told: unknown[] = []
  const log = new FailureLog((error) => told.push(error))
  const refusals = [1, 2, 3, 4].map((nth) => new Fault('unavailable', `write ${nth}`))
  log.tell(refusals[0], REASON)
  log.tell(refusals[1], REASON)
  expect(told).toEqual([refusals[0]])

  log.tell(refusals[2], undefined)
  log.tell(refusals[3], REASON)
  expect(told).toEqual([refusals[0], refusals[2], refusals[3]])
})

test('other failures are told each time, also while writes are refused', () => {
  const told: unknown[] = []
  const log = new FailureLog((error) => told.push(error))
  const failures = [new Fault('corrupt', 'a block'), new Error('a bug'), new Fault('corrupt', 'a block')]
  for (const failure of failures) log.tell(failure, REASON)

  expect(told).toEqual(failures)
})
