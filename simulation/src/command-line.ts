/** What the command line asks for, or what is wrong with it. */
import { parseArgs } from 'node:util'

/** A run of the simulation. */
export interface Order {
  /** One seed that was named, which is then told about. */
  readonly seed: number | undefined
  readonly from: number
  readonly seeds: number
  readonly steps: number
  readonly isKept: boolean
  readonly keepsGoing: boolean
  readonly crashesEachStep: boolean
  /** Name of a break, or `all`. */
  readonly broken: string | undefined
}

/** What to do, or what to print instead. */
export type CommandLine =
  | { readonly order: Order }
  | { readonly help: string }
  | { readonly complaint: string }

const OPTIONS = {
  seeds: { type: 'string' },
  from: { type: 'string' },
  seed: { type: 'string' },
  steps: { type: 'string' },
  kept: { type: 'boolean' },
  'keep-going': { type: 'boolean' },
  'each-step': { type: 'boolean' },
  break: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

/** Seeds are told apart by 32 bits. */
const GREATEST_SEED = 2 ** 32 - 1
const MOST_STEPS = 1_000_000

/** Ways of choosing seeds, or of running them, of which the first leaves nothing for the second to say. */
const CONTRADICTIONS = [
  ['seed', 'seeds', 'it is one seed'],
  ['seed', 'from', 'it is one seed'],
  ['seed', 'kept', 'it is one seed'],
  ['kept', 'seeds', 'these seeds are in a list of their own'],
  ['kept', 'from', 'these seeds are in a list of their own'],
  ['break', 'each-step', 'a broken store is run as it comes'],
  ['break', 'kept', 'the search for a violation begins at seed 1'],
  ['break', 'from', 'the search for a violation begins at seed 1'],
  ['break', 'keep-going', 'the search ends at the violation that gives it away'],
  ['each-step', 'keep-going', 'it does not stop at the first seed that fails'],
] as const

class Unusable extends Error {}

/** Reads the arguments. `breaks` are the names that `--break` takes beside `all`. */
export function readCommandLine(args: readonly string[], breaks: readonly string[]): CommandLine {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS })
    if (values.help) return { help: helpText(breaks) }
    return { order: toOrder(values, breaks) }
  } catch (error) {
    if (!(error instanceof Unusable || isParseError(error))) throw error
    return { complaint: `${error.message}\nnpm run simulate -- --help says what there is.` }
  }
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

function toOrder(values: Values, breaks: readonly string[]): Order {
  for (const [one, other, why] of CONTRADICTIONS) {
    if (values[one] !== undefined && values[other] !== undefined) {
      throw new Unusable(`--${one} goes without --${other}: ${why}.`)
    }
  }
  if (values.break !== undefined && values.break !== 'all' && !breaks.includes(values.break)) {
    throw new Unusable(`There is no break ${values.break}. Write all, or one of: ${breaks.join(', ')}.`)
  }
  return {
    seed: values.seed === undefined ? undefined : wholeNumber('seed', values.seed, 0, GREATEST_SEED),
    from: wholeNumber('from', values.from ?? '1', 0, GREATEST_SEED),
    seeds: wholeNumber('seeds', values.seeds ?? '200', 1, GREATEST_SEED),
    steps: wholeNumber('steps', values.steps ?? '1200', 1, MOST_STEPS),
    isKept: values.kept ?? false,
    keepsGoing: values['keep-going'] ?? false,
    crashesEachStep: values['each-step'] ?? false,
    broken: values.break,
  }
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new Unusable(
    `--${name} is a whole number from ${least} to ${most}, not ${text === '' ? 'empty' : text}.`,
  )
}

function isParseError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
}

function helpText(breaks: readonly string[]): string {
  return `Runs the file store on a simulated machine that crashes, and checks what is left.

Usage: npm run simulate -- [options]

Which seeds
  --seeds 200      how many, one after the other
  --from 1         the first of them
  --seed 118       one seed again: the digest of its history, or its last events if it fails
  --kept           the seeds that once failed (seeds/kept.json)

How
  --steps 1200     choices in a run; a seed passes or fails together with it
  --keep-going     go on after a seed that fails
  --each-step      one run for each effect of the history, with a crash before it
  --break <name>   break the store, and look for the seed that notices; with --seed, what happens in that one
  -h, --help       this text

Breaks: all, or one of
${breaks.map((name) => `  ${name}`).join('\n')}

Exit codes: 0 all passed, or every break was noticed; 1 a seed failed, or a break was not noticed;
2 the command line can't be used.

Examples
  npm run simulate -- --seeds 2000 --from 5001 --keep-going
  npm run simulate -- --seed 3 --steps 400 --each-step
  npm run simulate -- --break all --steps 400`
}
