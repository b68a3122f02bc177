/** Tables of configuration keys: what each changes in a running server, given in a file or by its variable. */
import { CONFIG_KEYS, type ConfigKey, variableOf } from '@millrace/server'
import { describe, expect, test } from 'vitest'
import { type Served, withServer } from './config-effects.fixture.ts'

/** A value as a file has it. */
export type Value = string | number | boolean | readonly string[]

/** One key, and what it changes. */
export interface Row {
  readonly key: string
  readonly value: Value | (() => Value)
  /** What else is configured, with the value and without it; what is not named is `USUALLY`. */
  readonly beside?: () => Readonly<Record<string, Value>>
  readonly profile?: string
  readonly see: (served: Served) => Promise<unknown>
  readonly withIt: unknown
  /** Left out where it would take too long to see. */
  readonly without?: unknown
}

/** What every server of the tables has, unless a row says otherwise. */
export const USUALLY: Readonly<Record<string, Value>> = {
  'server.bind_address': '127.0.0.1:0',
  'storage.mode': 'memory',
}
function keyOf(name: string): ConfigKey {
  const key = CONFIG_KEYS.find((one) => one.name === name)
  if (key === undefined) throw new Error(`there is no key ${name}`)
  return key
}

/** A TOML file of these values. */
export function tomlOf(values: Readonly<Record<string, Value>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
    .join('')
}

/** What is seen of a server with more in a file and in variables than the row has beside its key. */
export function seen(
  folder: string,
  row: Row,
  file: Readonly<Record<string, Value>>,
  environment: Readonly<Record<string, string>>,
): Promise<unknown> {
  const beside = row.beside?.() ?? {}
  const usually = row.key === 'server.port' ? {} : USUALLY
  const files = { default: tomlOf({ ...usually, ...beside }), local: tomlOf(file) }
  return withServer(folder, { ...(row.profile && { profile: row.profile }), files, environment }, row.see)
}

/** Tests each row with its value from a file and from its variable, and without it. */
export function describeRows(folder: string, rows: readonly Row[]): void {
  describe.each(rows.map((row) => [row.key, row] as const))('%s', (name, row) => {
    const given = (): Value => (typeof row.value === 'function' ? row.value() : row.value)

    test('has its effect from a file', async () => {
      expect(await seen(folder, row, { [name]: given() }, {})).toEqual(row.withIt)
    })

    test('has its effect from its variable', async () => {
      const environment = { [variableOf(keyOf(name))]: String(given()) }
      expect(await seen(folder, row, {}, environment)).toEqual(row.withIt)
    })

    if (row.without === undefined) return
    test('is what makes the difference', async () => {
      expect(await seen(folder, row, {}, {})).toEqual(row.without)
      expect(row.without).not.toEqual(row.withIt)
    })
  })
}
