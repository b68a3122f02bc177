/** What is done with a seed: a calm run, a stormy one, now and then twice; and the search for one that shows a break. */
import { readFile } from 'node:fs/promises'
import type { Break } from './breaks.ts'
import type { CrashKind, CrashPlan } from './crash-plan.ts'
import { type RunResult, runSeed } from './seed-run.ts'
import { sumOf } from './tally.ts'

/** Every so many seeds one is run twice, to see that it gives the same history. */
const TWICE_EVERY = 25
const NEVER: CrashPlan = { kind: 'never' }
/** Steps between crashes of a broken store. */
const BROKEN_CRASH_EVERY = 60

/** Runs a seed without crashes, then with as many as fit its length, and then on a disk that lies. */
export async function checkSeed(seed: number, actions: number): Promise<RunResult> {
  const calm = { seed, actions, crashes: NEVER, faults: seed % 2 === 0, lies: false, sabotage: {} }
  const dry = await runSeed(calm)
  if (dry.violation !== undefined) return dry
  const stormy = { ...calm, crashes: often(Math.max(5, dry.steps / 10)) }
  const result = await runSeed(stormy)
  if (result.violation !== undefined) return result
  const lied = await runSeed({ ...stormy, faults: false, lies: true })
  const both = together(result, lied)
  if (lied.violation !== undefined || seed % TWICE_EVERY !== 0) return both
  const again = await runSeed(stormy)
  if (again.digest === result.digest) return both
  return { ...both, violation: { message: 'the same seed gave another history', recent: [] } }
}

function often(everySteps: number): CrashPlan {
  return { kind: 'often', everySteps }
}

/** Two runs of a seed as one; the digest of both. */
function together(one: RunResult, other: RunResult): RunResult {
  return {
    digest: `${one.digest}-${other.digest}`,
    steps: one.steps + other.steps,
    crashes: one.crashes + other.crashes,
    counts: sumOf([one.counts, other.counts]),
    violation: one.violation ?? other.violation,
  }
}

/** A seed that failed at one of its steps. */
export interface FailedStep {
  readonly atStep: number
  readonly by: CrashKind
  readonly result: RunResult
}

/**
 * Runs a seed once for each effect of its history, crashed right before that one: by a power cut at odd steps, by the
 * end of the process at even ones, or the other way round if `isSwapped`.
 */
export async function crashAtEach(
  seed: number,
  actions: number,
  isSwapped: boolean,
): Promise<{ readonly runs: readonly RunResult[]; readonly failed: readonly FailedStep[] }> {
  const calm = { seed, actions, crashes: NEVER, faults: false, lies: false, sabotage: {} }
  const { steps } = await runSeed(calm)
  const runs: RunResult[] = []
  const failed: FailedStep[] = []
  for (let atStep = 1; atStep <= steps; atStep++) {
    const by = (atStep % 2 === 1) === isSwapped ? 'process' : 'power'
    const result = await runSeed({ ...calm, crashes: { kind: 'once', atStep, by } })
    // The last steps of a history are checks after the last crash.
    if (result.crashes > 0) runs.push(result)
    if (result.violation !== undefined) failed.push({ atStep, by, result })
  }
  return { runs, failed }
}

/** Runs a seed with a broken store. */
export function runBroken(broken: Break, seed: number, actions: number): Promise<RunResult> {
  const faults = seed % 2 === 0
  return runSeed({
    seed,
    actions,
    crashes: often(BROKEN_CRASH_EVERY),
    faults,
    lies: false,
    sabotage: broken.make(),
  })
}

/** A seed in which the checks noticed a break. */
export interface Catch {
  readonly seed: number
  readonly message: string
}

/** The first of so many seeds in which the checks notice a break; `undefined`: none. */
export async function firstCatch(broken: Break, seeds: number, actions: number): Promise<Catch | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violation } = await runBroken(broken, seed, actions)
    if (violation !== undefined && broken.sign.test(violation.message))
      return { seed, message: violation.message }
  }
  return undefined
}

/** Seeds that once failed. */
export async function keptSeeds(): Promise<readonly number[]> {
  const text = await readFile(new URL('../seeds/kept.json', import.meta.url), 'utf8')
  const kept: unknown = JSON.parse(text)
  if (!Array.isArray(kept) || !kept.every((one) => typeof one === 'number'))
    throw new Error('kept.json is no list of seeds')
  return kept
}
