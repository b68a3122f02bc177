import { expect, test } from 'vitest'
import { openMillrace, openPublished } from './event-writers.ts'
import { runExactlyOnce } from './exactly-once-run.ts'

const run = { producers: 4, seed: 1, requestsPerKill: 120 }

test('every event is stored once and in order, through crashes and a bad network', async () => {
  const report = await runExactlyOnce({ ...run, open: openMillrace, events: 20_000, patienceMs: 240_000 })

  expect(report).toMatchObject({
    lost: 0,
    doubled: 0,
    outOfOrder: 0,
    foreign: 0,
    reported: 0,
    hung: false,
    stored: 20_000,
  })
  expect(report.kills).toBeGreaterThan(2)
  const { none, ...faults } = report.faults
  expect(none).toBeGreaterThan(100)
  expect(Object.values(faults).filter((count) => count === 0)).toEqual([])
}, 300_000)

test('the control, which does not retry, loses events or hangs: so the test above can fail', async () => {
  const report = await runExactlyOnce({ ...run, open: openPublished, events: 4000, patienceMs: 20_000 })

  expect(report.hung || report.lost > 0).toBe(true)
}, 120_000)
