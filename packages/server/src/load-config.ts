/** Reads the layers of the configuration from where they are, and makes one of them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ConfigLayer,
  environmentLayer,
  oldVariables,
  PROFILE_VARIABLE,
  plainLayer,
  tomlLayer,
} from './config-layer.ts'
import { CONFIG_PROFILES } from './config-profiles.ts'
import { type EffectiveValue, type ResolvedConfig, resolveConfig } from './config-resolve.ts'
import { type ConfigValue, type RawValue, withAddress } from './config-value.ts'

/** Where to look. */
export interface LoadConfigOptions {
  /** Directory that holds `config/`; the working directory unless given. */
  readonly directory?: string
  /** What `DS_PROFILE` says unless given, otherwise `default`. */
  readonly profile?: string
  /** One more file, which must exist; it wins over the others. */
  readonly file?: string
  /** `DS_*` variables are read from here; `process.env` unless given. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** By key, such as `{'server.port': 0}`; they win over everything. `placeOf` says how messages call them. */
  readonly overrides?: Readonly<Record<string, RawValue>>
  readonly placeOf?: (key: string) => string
  /** Host and port that take the place of those of `server.bind_address`, each by itself. */
  readonly address?: { readonly host?: string; readonly port?: number }
}

/** The configuration in force, and how it came about. */
export interface LoadedConfig {
  readonly profile: string
  /** Files that were read, in the order in which they win over each other. */
  readonly files: readonly string[]
  /** What was given and has no effect, one sentence each. */
  readonly notes: readonly string[]
  /** All values with their places. */
  readonly values: readonly EffectiveValue[]
  /** The value of one key; throws for a key that does not exist. */
  get(name: string): ConfigValue | undefined
}

/** Something in the configuration has to be mended; `problems` has one sentence for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/**
 * Loads the configuration: defaults, the built-in profile, `config/default.toml`, `config/<profile>.toml`,
 * `config/local.toml`, `file`, environment, overrides; what comes later wins. Throws `ConfigError` with everything
 * that is wrong, each with its file and line or its variable.
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { directory = '.', environment = process.env } = options
  const profile = options.profile ?? environment[PROFILE_VARIABLE] ?? 'default'
  const read = await readLayers(directory, profile, options.file)
  const builtIn = plainLayer(`profile ${profile}`, CONFIG_PROFILES.get(profile) ?? {})
  const below = [...read.layers, environmentLayer(environment)]
  const overrides = wholeOverrides(options, resolveConfig(profile, builtIn, below).values)
  const resolved = resolveConfig(profile, builtIn, [
    ...below,
    plainLayer('options', overrides, options.placeOf),
  ])
  const isKnown = CONFIG_PROFILES.has(profile) || read.files.some((file) => file.endsWith(`${profile}.toml`))
  const problems = isKnown ? resolved.problems : [unknownProfile(profile), ...resolved.problems]
  if (problems.length > 0) throw new ConfigError(problems)
  return loaded(resolved, read.files, [...oldVariables(environment), ...resolved.notes])
}

/** Overrides with what follows from them: a whole address, and TLS where its files are named and no mode is. */
function wholeOverrides(
  { overrides = {}, address }: LoadConfigOptions,
  below: readonly EffectiveValue[],
): Readonly<Record<string, RawValue>> {
  const under = (name: string): EffectiveValue | undefined => below.find(({ key }) => key.name === name)
  const namesTls = 'transport.tls.cert_path' in overrides || 'transport.tls.key_path' in overrides
  const mode = 'transport.tls.client_ca_path' in overrides ? 'mtls' : 'tls'
  return {
    ...(address && { 'server.bind_address': withAddress(under('server.bind_address')?.value, address) }),
    ...(namesTls && under('transport.mode')?.place === 'default' && { 'transport.mode': mode }),
    ...overrides,
  }
}

function unknownProfile(profile: string): string {
  const known = [...CONFIG_PROFILES.keys()].join(', ')
  return `There is no profile ${profile}: write config/${profile}.toml, or use one of ${known}.`
}

interface ReadLayers {
  readonly files: readonly string[]
  readonly layers: readonly ConfigLayer[]
}

async function readLayers(directory: string, profile: string, file: string | undefined): Promise<ReadLayers> {
  if (!/^[A-Za-z0-9._-]+$/.test(profile)) throw new ConfigError([`${profile} is no name of a profile.`])
  const names = [...new Set(['default', profile, 'local'])].map((name) => join('config', `${name}.toml`))
  const files: string[] = []
  const layers: ConfigLayer[] = []
  const add = (name: string, text: string): void => {
    files.push(name)
    layers.push(tomlLayer(name, text))
  }
  for (const name of names) {
    const text = await readIfThere(join(directory, name), name)
    if (text !== undefined) add(name, text)
  }
  if (file !== undefined) {
    const text = await readIfThere(file, file)
    if (text === undefined) throw new ConfigError([`config override file not found: '${file}'`])
    add(file, text)
  }
  return { files, layers }
}

async function readIfThere(path: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new ConfigError([`${name} cannot be read (${String(code)}).`])
  }
}

function loaded(resolved: ResolvedConfig, files: readonly string[], notes: readonly string[]): LoadedConfig {
  const { profile, values } = resolved
  const byName = new Map(values.map((one) => [one.key.name, one.value]))
  return {
    profile,
    files,
    notes,
    values,
    get(name) {
      if (!byName.has(name)) throw new Error(`there is no key ${name}`)
      return byName.get(name)
    },
  }
}
