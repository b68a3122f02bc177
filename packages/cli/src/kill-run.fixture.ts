/** `npm run kills`: as many SIGKILLs as one likes, with what they found. */
import { parseArgs } from 'node:util'
import { killRounds } from './kill-rounds.fixture.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    storage: { type: 'string', default: 'file-durable' },
    seed: { type: 'string', default: '1' },
  },
})
const kills = Number(values.kills)
const report = await killRounds({
  kills,
  storage: values.storage,
  seed: Number(values.seed),
  onRound(round, violations) {
    if (process.stderr.isTTY) process.stderr.write(`\r${round} of ${kills} kills, ${violations} violations`)
    else if (round % 20 === 0) console.error(`${round} of ${kills} kills, ${violations} violations`)
  },
})
if (process.stderr.isTTY) process.stderr.write('\n')
for (const violation of report.violations) console.log(violation)
console.log(
  `${report.kills} kills of ${values.storage}: ${report.acknowledged} acknowledged writes, ${report.violations.length} lost, doubled, torn or undone`,
)
process.exitCode = report.violations.length === 0 ? 0 : 1
