/** What the command line of the exactly-once run asks for, or what is wrong with it. */
import { parseArgs } from 'node:util'

/** A run, as it was asked for. */
export interface ExactlyOnceFlags {
  readonly client: 'millrace' | 'published'
  readonly events: number
  readonly producers: number
  readonly seed: number
  readonly requestsPerKill: number
  readonly patienceMs: number
}

const OPTIONS = {
  events: { type: 'string', default: '200000' },
  producers: { type: 'string', default: '4' },
  seed: { type: 'string', default: '1' },
  client: { type: 'string', default: 'millrace' },
  'requests-per-kill': { type: 'string', default: '150' },
  'patience-s': { type: 'string', default: '1800' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

type NumberFlag = 'events' | 'producers' | 'seed' | 'requests-per-kill' | 'patience-s'

const USAGE = `Usage: npm run exactly-once -- [options]
  --events 200000          how many are written in all
  --producers 4            that write them to one stream, all at a time
  --client millrace        or published: @durable-streams/client instead
  --requests-per-kill 150  the server is killed after so many
  --seed 1                 what goes wrong follows from it
  --patience-s 1800        seconds until a client that does not finish counts as hung
Prints a report as JSON. Exit codes: 0 every event is there once and in order; 1 not so; 2 the command line can't be used.`

class Unusable extends Error {}

/** Reads the arguments. `text` is to be printed instead of a run: the help, or what is wrong. */
export function readExactlyOnceFlags(
  args: readonly string[],
): { readonly flags: ExactlyOnceFlags } | { readonly text: string; readonly isHelp: boolean } {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS })
    if (values.help) return { text: USAGE, isHelp: true }
    const { client } = values
    if (client !== 'millrace' && client !== 'published') {
      throw new Unusable(`--client is millrace or published, not ${client}.`)
    }
    const count = (name: NumberFlag): number => wholeNumber(name, values[name])
    return {
      flags: {
        client,
        events: count('events'),
        producers: count('producers'),
        seed: count('seed'),
        requestsPerKill: count('requests-per-kill'),
        patienceMs: count('patience-s') * 1000,
      },
    }
  } catch (error) {
    if (!(error instanceof Unusable || isParseError(error))) throw error
    return { text: `${error.message}\n${USAGE}`, isHelp: false }
  }
}

function wholeNumber(name: NumberFlag, text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text)
  throw new Unusable(`--${name} is a whole number from 1 on, not ${text === '' ? 'empty' : text}.`)
}

function isParseError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
}
