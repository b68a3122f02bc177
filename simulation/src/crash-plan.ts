/** When the crashes of a run come, and of which kind they are. */
import type { SeededRandom } from './seeded-random.ts'

/** A power cut, or the end of the process on a machine that goes on. */
export type CrashKind = 'power' | 'process'

/** No crash; one every so many steps on average; or a single one, before the effect of a step is done. */
export type CrashPlan =
  | { readonly kind: 'never' }
  | { readonly kind: 'often'; readonly everySteps: number }
  | { readonly kind: 'once'; readonly atStep: number; readonly by: CrashKind }

/** The step of the next crash after `steps` of them. */
export function nextCrash(plan: CrashPlan, steps: number, random: SeededRandom): number {
  switch (plan.kind) {
    case 'never':
      return Number.POSITIVE_INFINITY
    case 'once':
      return plan.atStep > steps ? plan.atStep : Number.POSITIVE_INFINITY
    case 'often': {
      const isSoon = random.chance(0.25)
      return steps + 1 + random.below(isSoon ? 25 : Math.max(2, 2.4 * plan.everySteps))
    }
    default:
      return plan satisfies never
  }
}

/** The kind of a crash; power cuts have the given share. */
export function crashKind(plan: CrashPlan, powerShare: number, random: SeededRandom): CrashKind {
  if (plan.kind === 'once') return plan.by
  return random.chance(powerShare) ? 'power' : 'process'
}
