/** The command line: `npm run exactly-once -- --events 200000`. Ends with 1 when an event was lost, doubled or late. */
import { parseArgs } from 'node:util'
import { openMillrace, openPublished } from './event-writers.ts'
import { runExactlyOnce } from './exactly-once-run.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '200000' },
    producers: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    client: { type: 'string', default: 'millrace' },
    'requests-per-kill': { type: 'string', default: '150' },
    'patience-s': { type: 'string', default: '1800' },
  },
})

const report = await runExactlyOnce({
  open: values.client === 'published' ? openPublished : openMillrace,
  events: Number(values.events),
  producers: Number(values.producers),
  seed: Number(values.seed),
  requestsPerKill: Number(values['requests-per-kill']),
  patienceMs: Number(values['patience-s']) * 1000,
})
const { lost, doubled, outOfOrder, foreign, reported, hung } = report
const isGood = lost + doubled + outOfOrder + foreign + reported === 0 && !hung
console.log(JSON.stringify({ client: values.client, good: isGood, ...report }, undefined, 2))
// A client that hangs would keep the process.
process.exit(isGood ? 0 : 1)
