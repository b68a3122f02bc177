/** The table of keys as a JSON Schema, so that editors complete and check configuration files. */
import { CONFIG_KEYS, type ConfigKey, variableOf } from './config-keys.ts'
import type { ConfigValue, ValueKind } from './config-value.ts'

/** A part of a JSON Schema. */
type Schema = Readonly<Record<string, unknown>>

/** The JSON Schema (draft 7) of a configuration file. */
export function configSchema(): Schema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Millrace configuration',
    ...tableOf(CONFIG_KEYS.map((key) => [key.name.split('.'), key])),
  }
}

type Located = readonly [path: readonly string[], key: ConfigKey]

/** A TOML table with its keys and the tables in it. */
function tableOf(keys: readonly Located[]): Schema {
  const names = [...new Set(keys.map(([[name]]) => name ?? ''))]
  const properties = names.map((name) => {
    const below = keys.filter(([[first]]) => first === name)
    const own = below.find(([path]) => path.length === 1)
    return [name, own ? keySchema(own[1]) : tableOf(below.map(([path, key]) => [path.slice(1), key]))]
  })
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false }
}

function keySchema(key: ConfigKey): Schema {
  const remarks = [
    key.about,
    key.legacyOf === undefined ? '' : `The old name of ${key.legacyOf}.`,
    key.noEffect === undefined ? '' : `No effect here: ${key.noEffect}.`,
    `Variable: ${variableOf(key)}.`,
  ]
  return {
    description: remarks.filter((remark) => remark !== '').join(' '),
    ...kindSchema(key.kind),
    ...(key.fallback !== undefined && { default: writtenValue(key.kind, key.fallback) }),
    ...(key.legacyOf !== undefined && { deprecated: true }),
  }
}

const DURATION = '^[0-9]+(\\.[0-9]+)?\\s*(ms|s|m|h|d)?$'
const SIZE = '^[0-9]+(\\.[0-9]+)?\\s*([KkMmGgTt]?[Bb]|[KkMmGgTt][Ii][Bb])?$'

function kindSchema(kind: ValueKind): Schema {
  switch (kind.kind) {
    case 'duration':
      return withUnits({ type: 'number', minimum: kind.leastMs / 1000 }, DURATION)
    case 'bytes':
      return withUnits({ type: 'integer', minimum: kind.least }, SIZE)
    case 'count':
      return { type: 'integer', minimum: kind.least, ...(kind.rule && { maximum: 256 }) }
    case 'port':
      return { type: 'integer', minimum: 0, maximum: 65_535 }
    case 'flag':
      return { type: 'boolean' }
    case 'choice':
      return { type: 'string', enum: kind.of }
    case 'list':
      return { type: 'array', items: { type: 'string', minLength: 1, ...(kind.of && { enum: kind.of }) } }
    case 'address':
    case 'log':
    case 'text':
      return { type: 'string', minLength: 1 }
  }
}

function withUnits(plain: Schema, pattern: string): Schema {
  return { anyOf: [plain, { type: 'string', pattern }] }
}

/** A value as it stands in TOML and JSON: durations, which are kept in milliseconds, in seconds. */
export function writtenValue(kind: ValueKind, value: ConfigValue): ConfigValue {
  return kind.kind === 'duration' ? Number(value) / 1000 : value
}
