/** The command line of the kill rounds: progress on stderr, one closing line or a JSON report on stdout. */
import { parseArgs } from 'node:util'
import { type KillReport, killRounds } from './kill-rounds.fixture.ts'

const USAGE =
  'npm run kills -- [--kills 100] [--storage file-durable|file-fast] [--runtime node|bun] [--seed 1] [--json]'

const OPTIONS = {
  kills: { type: 'string', default: '100' },
  storage: { type: 'string', default: 'file-durable' },
  runtime: { type: 'string', default: 'node' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

const values = readFlags()
if (values.help) {
  console.log(`Usage: ${USAGE}`)
  process.exit(0)
}
const { storage, runtime } = values
const [kills, seed] = [Number(values.kills), Number(values.seed)]

if (
  !(kills >= 1 && Number.isInteger(kills) && Number.isInteger(seed)) ||
  (storage !== 'file-durable' && storage !== 'file-fast') ||
  (runtime !== 'node' && runtime !== 'bun')
) {
  console.error(`Usage: ${USAGE}`)
  process.exit(2)
}

const report = await killRounds({
  kills,
  storage,
  seed,
  runtime,
  onKill: tellProgress,
  onLeft: (dataDir) => console.error(`the data directory was left in ${dataDir}`),
})
for (const violation of report.violations) console.error(`violation: ${violation}`)
console.log(values.json ? JSON.stringify({ storage, runtime, seed, ...report }) : summary(report))
process.exitCode = report.violations.length === 0 ? 0 : 1

function readFlags(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'] {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nUsage: ${USAGE}`)
    process.exit(2)
  }
}

function tellProgress(soFar: KillReport): void {
  const done = sum(Object.values(soFar.kills))
  const isTerminal = process.stderr.isTTY === true
  if (isTerminal) process.stderr.write(`\r${done} of ${kills} kills${done === kills ? '\n' : ''}`)
  else if (done % 10 === 0 || done === kills) console.error(`${done} of ${kills} kills`)
}

function summary({
  kills: byKind,
  acknowledged,
  unanswered,
  sightings,
  replayed,
  ...rest
}: KillReport): string {
  const names = Object.entries(acknowledged).map(([name, count]) => `${name} ${count}`)
  return [
    `${sum(Object.values(byKind))} kills (${byKind.load} under load, ${byKind.start} while starting again,`,
    `${byKind.stop} while stopping), ${storage} on ${runtime}, seed ${seed}:`,
    `${sum(Object.values(acknowledged))} acknowledged (${names.join(', ')}),`,
    `${unanswered.all} unanswered of which ${unanswered.done} were done,`,
    `${sightings} sightings by readers looked for, ${replayed} writes replayed, ${rest.blockFiles} block files,`,
    `${rest.violations.length} violations`,
  ].join(' ')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
