/** The command line: runs seeds until one fails or all have passed, or shows that broken stores are noticed. */
import { BREAKS } from './breaks.ts'
import { type Order, readCommandLine } from './command-line.ts'
import { checkSeed, crashAtEach, firstCatch, keptSeeds, runBroken } from './seed-check.ts'
import type { RunResult } from './seed-run.ts'
import { type Counts, crashesByKind, linesOf, neverAmong, sumOf } from './tally.ts'

/** In so many seeds everything comes that may come. */
const ENOUGH_SEEDS = 500

const order = orderOf(process.argv.slice(2))
let current = 0

function orderOf(args: readonly string[]): Order {
  const line = readCommandLine(
    args,
    BREAKS.map(({ name }) => name),
  )
  if ('order' in line) return line.order
  if ('help' in line) console.log(line.help)
  else console.error(line.complaint)
  process.exit('help' in line ? 0 : 2)
}

process.on('unhandledRejection', (error) => {
  console.error(`seed ${current}: nobody hears of ${error instanceof Error ? error.stack : error}`)
  process.exit(1)
})

async function checkSeeds(): Promise<void> {
  const seeds = await chosenSeeds()
  let crashes = 0
  let steps = 0
  let failed = 0
  let ran = 0
  let counts: Counts = {}
  for (const seed of seeds) {
    current = seed
    ran++
    const result = await checkSeed(seed, order.steps)
    crashes += result.crashes
    steps += result.steps
    counts = sumOf([counts, result.counts])
    if (order.seed !== undefined && result.violation === undefined) tell(seed, result)
    if (result.violation === undefined) continue
    failed++
    if (order.keepsGoing) console.error(`seed ${seed}: ${result.violation.message.slice(0, 300)}`)
    else {
      tell(seed, result)
      break
    }
  }
  console.log(linesOf(counts).join('\n'))
  const never = ran < ENOUGH_SEEDS ? [] : neverAmong(counts)
  if (never.length > 0) console.log(`never came: ${never.join(', ')}`)
  console.log(
    `${ran} seeds, ${steps} steps, ${crashes} crashes (${crashesByKind(counts)}), ${failed} seeds with violations`,
  )
  if (failed > 0) process.exitCode = 1
}

/** Crashes each seed before each of its effects, by a power cut and by the end of the process. */
async function checkEachStep(): Promise<void> {
  const counts: Counts[] = []
  for (const seed of await chosenSeeds()) {
    current = seed
    for (const isSwapped of [false, true]) {
      const { runs, failed } = await crashAtEach(seed, order.steps, isSwapped)
      counts.push(...runs.map((run) => run.counts))
      for (const { atStep, by, result } of failed) {
        process.exitCode = 1
        console.error(`seed ${seed}, ${by} at step ${atStep}: ${result.violation?.message.slice(0, 300)}`)
      }
    }
  }
  const sum = sumOf(counts)
  console.log(linesOf(sum).join('\n'))
  console.log(`${counts.length} runs, each with a crash before another effect (${crashesByKind(sum)})`)
}

/** Shows for each break that it is noticed, or with `--seed`, what happens in that one. */
async function checkBreaks(wanted: string): Promise<void> {
  const chosen = BREAKS.filter(({ name }) => wanted === 'all' || name === wanted)
  for (const broken of chosen) {
    if (order.seed !== undefined) {
      tell(order.seed, await runBroken(broken, order.seed, order.steps))
      continue
    }
    const found = await firstCatch(broken, order.seeds, order.steps)
    if (found === undefined) process.exitCode = 1
    const outcome =
      found === undefined ? 'NOT CAUGHT' : `caught at seed ${found.seed}: ${firstLines(found.message)}`
    console.log(`${broken.name} (${broken.what}): ${outcome}`)
  }
}

function tell(seed: number, { crashes, digest, violation }: RunResult): void {
  if (violation === undefined) console.log(`seed ${seed} passes, with ${crashes} crashes; history ${digest}`)
  else {
    console.error(violation.recent.join('\n'))
    console.error(`\nseed ${seed} fails after ${crashes} crashes: ${violation.message}`)
  }
}

function firstLines(message: string): string {
  return message.slice(0, 700)
}

async function chosenSeeds(): Promise<readonly number[]> {
  if (order.isKept) return keptSeeds()
  if (order.seed !== undefined) return [order.seed]
  return Array.from({ length: order.seeds }, (_, at) => order.from + at)
}

if (order.broken !== undefined) await checkBreaks(order.broken)
else if (order.crashesEachStep) await checkEachStep()
else await checkSeeds()
