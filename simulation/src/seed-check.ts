/** What is done with a seed: a calm run, a stormy one, now and then twice; and the search for one that shows a break. */
import { readFile } from 'node:fs/promises'
import type { Break } from './breaks.ts'
import { type RunResult, runSeed } from './seed-run.ts'

/** Every so many seeds one is run twice, to see that it gives the same history. */
const TWICE_EVERY = 25
/** Steps between crashes of a broken store. */
const BROKEN_CRASH_EVERY = 60

/** Runs a seed without crashes, and then with as many as fit its length. */
export async function checkSeed(seed: number, actions: number): Promise<RunResult> {
  const calm = { seed, actions, crashEvery: undefined, faults: seed % 2 === 0, sabotage: {} }
  const dry = await runSeed(calm)
  if (dry.violation !== undefined) return dry
  const stormy = { ...calm, crashEvery: Math.max(5, dry.steps / 10) }
  const result = await runSeed(stormy)
  if (result.violation !== undefined || seed % TWICE_EVERY !== 0) return result
  const again = await runSeed(stormy)
  if (again.digest === result.digest) return result
  return { ...result, violation: { message: 'the same seed gave another history', recent: [] } }
}

/** Runs a seed with a broken store. */
export function runBroken(broken: Break, seed: number, actions: number): Promise<RunResult> {
  const faults = seed % 2 === 0
  return runSeed({ seed, actions, crashEvery: BROKEN_CRASH_EVERY, faults, sabotage: broken.make() })
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
