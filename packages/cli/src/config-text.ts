/** The configuration in force as text: what is set, to what, and by whom. */
import { type EffectiveValue, type LoadedConfig, variableOf, writtenValue } from '@millrace/server'

/** The profile and the files, as a phrase. */
export function sourcesOf({ profile, files }: LoadedConfig): string {
  return [`profile ${profile}`, ...files].join(', ')
}

const MASK = '********'

function shownValue({ key, value }: EffectiveValue): unknown {
  if (value === undefined) return null
  return key.isSecret === true ? MASK : writtenValue(key.kind, value)
}

/** The same for scripts. */
export function configJson({ profile, files, notes, values }: LoadedConfig): object {
  return {
    profile,
    files,
    notes,
    values: Object.fromEntries(values.map((one) => [one.key.name, jsonOf(one)])),
  }
}

function jsonOf(one: EffectiveValue): object {
  return { value: shownValue(one), place: one.place, variable: variableOf(one.key) }
}

/** A TOML file of the same meaning, with the place of each value; keys without a value are comments. */
export function configToml(
  config: LoadedConfig,
  dim: (text: string) => string = (text) => text,
): readonly string[] {
  const lines = [dim(`# ${sourcesOf(config)}`), ...config.notes.map((note) => dim(`# ${note}`))]
  let section = ''
  for (const one of config.values) {
    const dot = one.key.name.lastIndexOf('.')
    if (section !== one.key.name.slice(0, dot)) {
      section = one.key.name.slice(0, dot)
      lines.push('', `[${section}]`)
    }
    const name = one.key.name.slice(dot + 1)
    // Strings and lists of strings are written alike in TOML and JSON.
    const setting = `${name} = ${JSON.stringify(shownValue(one))}`
    lines.push(
      one.value === undefined
        ? dim(`# ${name} is not set`)
        : `${setting.padEnd(48)} ${dim(`# ${one.place}`)}`,
    )
  }
  return lines
}
