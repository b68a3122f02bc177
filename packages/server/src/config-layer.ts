/** Layers of configuration: what one file, the environment or the command line says, and where it says it. */
import { distance } from 'fastest-levenshtein'
import { type AST, getStaticTOMLValue, parseTOML } from 'toml-eslint-parser'
import { CONFIG_KEYS, type ConfigKey, findKey, variableOf } from './config-keys.ts'
import { type ConfigValue, judgeValue, type RawValue } from './config-value.ts'
import { logLevelIn } from './log-level.ts'

/** A value and the place that gives it, such as `config/local.toml line 3` or `DS_SERVER__PORT`. */
export interface GivenValue {
  readonly value: ConfigValue
  readonly place: string
}

/** One layer; what is wrong with it is collected rather than thrown, so that all of it is seen at once. */
export interface ConfigLayer {
  readonly name: string
  readonly given: ReadonlyMap<string, GivenValue>
  readonly problems: readonly string[]
}

/** Reads a TOML file's text. `name` is how messages call it. */
export function tomlLayer(name: string, text: string): ConfigLayer {
  const collected = new Collected(name)
  let program: AST.TOMLProgram
  try {
    program = parseTOML(text)
  } catch (error) {
    const at = error instanceof Error && 'lineNumber' in error ? ` line ${String(error.lineNumber)}` : ''
    collected.problems.push(
      `${name}${at}: this is not TOML: ${error instanceof Error ? error.message : String(error)}.`,
    )
    return collected
  }
  for (const [path, node] of entriesOf(program)) {
    const place = `${name} line ${node.loc.start.line}`
    const written = path.join('.')
    const key = findKey(written)
    if (key === undefined) collected.problems.push(unknownKey(place, written))
    else collected.add(key, getStaticTOMLValue(node) as RawValue, place, written)
  }
  return collected
}

type Entry = readonly [path: readonly string[], value: AST.TOMLContentNode]

/** Every key with a value; inline tables are taken apart like others. */
function entriesOf(program: AST.TOMLProgram): readonly Entry[] {
  const [top] = program.body
  return top.body.flatMap((node) => {
    if (node.type === 'TOMLKeyValue') return valuesOf([], node)
    const section = node.resolvedKey.map(String)
    return node.body.flatMap((inner) => valuesOf(section, inner))
  })
}

function valuesOf(section: readonly string[], node: AST.TOMLKeyValue): readonly Entry[] {
  const path = [...section, ...node.key.keys.map((key) => (key.type === 'TOMLBare' ? key.name : key.value))]
  if (node.value.type !== 'TOMLInlineTable') return [[path, node.value]]
  return node.value.body.flatMap((inner) => valuesOf(path, inner))
}

const PREFIX = 'DS_'

/** The variable that names the profile. */
export const PROFILE_VARIABLE = 'DS_PROFILE'

/** Names of the first versions, and what they are called now. */
const OLD_VARIABLES: ReadonlyMap<string, string> = new Map([
  ['PORT', 'DS_SERVER__PORT'],
  ['LONG_POLL_TIMEOUT_SECS', 'DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS'],
  ['SSE_IDLE_CLOSE_SECS', 'DS_TRANSPORT__CONNECTION__SSE_RECONNECT_INTERVAL_SECS'],
  ['MAX_MEMORY_BYTES', 'DS_LIMITS__MAX_MEMORY_BYTES'],
  ['MAX_STREAM_BYTES', 'DS_LIMITS__MAX_STREAM_BYTES'],
  ['CORS_ORIGINS', 'DS_HTTP__CORS_ORIGINS'],
  ['STORAGE_MODE', 'DS_STORAGE__MODE'],
])

/** Reads the `DS_*` variables. */
export function environmentLayer(environment: Readonly<Record<string, string | undefined>>): ConfigLayer {
  const collected = new Collected('environment')
  const byVariable = new Map(CONFIG_KEYS.map((key) => [variableOf(key), key]))
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || variable === PROFILE_VARIABLE || text === undefined) continue
    const key = byVariable.get(variable)
    if (key === undefined)
      collected.problems.push(
        `There is no variable ${variable}.${suggestion(variable, [PROFILE_VARIABLE, ...byVariable.keys()])}`,
      )
    else collected.add(key, text, variable, variable)
  }
  // Other programs read it, too: what it says about those, or wrongly, is none of ours.
  const level = logLevelIn(environment.RUST_LOG ?? '')
  if (level !== undefined) {
    collected.given.set('observability.rust_log', { value: level, place: 'RUST_LOG' })
  }
  return collected
}

/** What a variable of the first versions is called now; a `PORT` of another program's is none of ours. */
export function oldVariables(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  return [...OLD_VARIABLES].flatMap(([old, now]) =>
    environment[old] === undefined || environment[now] !== undefined
      ? []
      : [`${old} has no effect: it is called ${now} now.`],
  )
}

/** What the command line, a profile or an embedding program says. */
export function plainLayer(
  name: string,
  values: Readonly<Record<string, RawValue>>,
  placeOf: (key: string) => string = () => name,
): ConfigLayer {
  const collected = new Collected(name)
  for (const [written, value] of Object.entries(values)) {
    const key = findKey(written)
    if (key === undefined) collected.problems.push(unknownKey(name, written))
    else collected.add(key, value, placeOf(written), placeOf(written))
  }
  return collected
}

class Collected implements ConfigLayer {
  readonly name: string
  readonly given = new Map<string, GivenValue>()
  readonly problems: string[] = []

  constructor(name: string) {
    this.name = name
  }

  add(key: ConfigKey, raw: RawValue, place: string, written: string): void {
    const judged = judgeValue(key.kind, raw)
    if (judged.ok) {
      this.given.set(key.name, { value: judged.value, place })
      return
    }
    const shown = key.isSecret === true ? '' : `, not ${JSON.stringify(raw, withLongs)}`
    this.problems.push(`${place}: ${written === place ? 'it' : written} must ${judged.must}${shown}.`)
  }
}

function withLongs(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

function unknownKey(place: string, written: string): string {
  const known = CONFIG_KEYS.map(({ name }) => name)
  return `${place}: there is no key ${written}.${suggestion(written, known)}`
}

/** The nearest known name, if it is near. */
function suggestion(written: string, known: readonly string[]): string {
  const [best] = known
    .map((name) => ({ name, edits: distance(written.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)
  return best === undefined || best.edits > Math.max(2, written.length / 3)
    ? ''
    : ` Did you mean ${best.name}?`
}
