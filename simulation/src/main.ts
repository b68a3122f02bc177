/** The command line: runs seeds until one fails or all have passed, or shows that broken stores are noticed. */
import { parseArgs } from 'node:util'
import { BREAKS } from './breaks.ts'
import { checkSeed, firstCatch, keptSeeds, runBroken } from './seed-check.ts'
import type { RunResult } from './seed-run.ts'

const OPTIONS = {
  seeds: { type: 'string', default: '200' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  steps: { type: 'string', default: '1200' },
  kept: { type: 'boolean', default: false },
  'keep-going': { type: 'boolean', default: false },
  break: { type: 'string' },
} as const

const { values } = parseArgs({ options: OPTIONS })
const actions = Number(values.steps)
let current = 0

process.on('unhandledRejection', (error) => {
  console.error(`seed ${current}: nobody hears of ${error instanceof Error ? error.stack : error}`)
  process.exit(1)
})

async function checkSeeds(): Promise<void> {
  const seeds = await chosenSeeds()
  let crashes = 0
  let steps = 0
  let failed = 0
  for (const seed of seeds) {
    current = seed
    const result = await checkSeed(seed, actions)
    crashes += result.crashes
    steps += result.steps
    if (result.violation === undefined) continue
    failed++
    if (values['keep-going']) console.error(`seed ${seed}: ${result.violation.message.slice(0, 300)}`)
    else {
      tell(seed, result)
      break
    }
  }
  console.log(`${seeds.length} seeds, ${steps} steps, ${crashes} crashes, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
}

/** Shows for each break that it is noticed, or with `--seed`, what happens in that one. */
async function checkBreaks(wanted: string): Promise<void> {
  const chosen = BREAKS.filter(({ name }) => wanted === 'all' || name === wanted)
  if (chosen.length === 0) throw new Error(`--break is all or ${BREAKS.map(({ name }) => name).join(', ')}`)
  for (const broken of chosen) {
    if (values.seed !== undefined) {
      tell(Number(values.seed), await runBroken(broken, Number(values.seed), actions))
      continue
    }
    const found = await firstCatch(broken, Number(values.seeds), actions)
    if (found === undefined) process.exitCode = 1
    const outcome =
      found === undefined ? 'NOT CAUGHT' : `caught at seed ${found.seed}: ${firstLines(found.message)}`
    console.log(`${broken.name} (${broken.what}): ${outcome}`)
  }
}

function tell(seed: number, { crashes, violation }: RunResult): void {
  if (violation === undefined) console.log(`seed ${seed} passes, with ${crashes} crashes`)
  else {
    console.error(violation.recent.join('\n'))
    console.error(`\nseed ${seed} fails after ${crashes} crashes: ${violation.message}`)
  }
}

function firstLines(message: string): string {
  return message.slice(0, 700)
}

async function chosenSeeds(): Promise<readonly number[]> {
  if (values.kept) return keptSeeds()
  if (values.seed !== undefined) return [Number(values.seed)]
  return Array.from({ length: Number(values.seeds) }, (_, at) => Number(values.from) + at)
}

await (values.break === undefined ? checkSeeds() : checkBreaks(values.break))
