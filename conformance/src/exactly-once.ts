/** The command line: `npm run exactly-once -- --events 200000`. Ends with 1 when an event was lost, doubled or late. */
import { openMillrace, openPublished } from './event-writers.ts'
import { type ExactlyOnceFlags, readExactlyOnceFlags } from './exactly-once-flags.ts'
import { runExactlyOnce } from './exactly-once-run.ts'

const { client, ...run } = flagsOf(process.argv.slice(2))

function flagsOf(args: readonly string[]): ExactlyOnceFlags {
  const read = readExactlyOnceFlags(args)
  if ('flags' in read) return read.flags
  if (read.isHelp) console.log(read.text)
  else console.error(read.text)
  process.exit(read.isHelp ? 0 : 2)
}

const report = await runExactlyOnce({
  ...run,
  open: client === 'published' ? openPublished : openMillrace,
})
const { lost, doubled, outOfOrder, foreign, reported, hung } = report
const isGood = lost + doubled + outOfOrder + foreign + reported === 0 && !hung
console.log(JSON.stringify({ client, good: isGood, ...report }, undefined, 2))
// A client that hangs would keep the process.
process.exit(isGood ? 0 : 1)
