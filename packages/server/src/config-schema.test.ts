import { expect, it } from 'vitest'
import { CONFIG_KEYS } from './config-keys.ts'
import { configSchema, writtenValue } from './config-schema.ts'
import { judgeValue } from './config-value.ts'

function schemaOf(name: string): Record<string, unknown> {
  let found: unknown = configSchema()
  for (const part of name.split('.')) found = memberOf(memberOf(found, 'properties'), part)
  return found as Record<string, unknown>
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined
}

const WRITTEN = [
  ...['30', '400ms', '1.5h', '5m', '7d', '30s', ' 1', '-1', 's', '1w', '1S', '', '1e3', '.5s'],
  ...['64KiB', '16MiB', '1GB', '1gb', '2 MiB', '1TB', '5B', '1PB', '64K', 'KiB', '1 kib', '0x10'],
]

it.each([
  ['durations', 'server.shutdown_grace_secs'],
  ['sizes', 'limits.max_request_body_bytes'],
])('lets editors accept the units of %s that are read, and no others', (_, name) => {
  const key = CONFIG_KEYS.find((one) => one.name === name)
  const { anyOf } = schemaOf(name)
  const pattern = Array.isArray(anyOf) ? new RegExp(anyOf[1].pattern) : undefined
  const accepted = WRITTEN.filter((text) => pattern?.test(text.trim()))
  const read = WRITTEN.filter((text) => key && judgeValue(key.kind, text).ok)
  expect(accepted).toEqual(read)
  expect(read.length).toBeGreaterThan(5)
})

it('has defaults that a file may say', () => {
  for (const { name, kind, fallback } of CONFIG_KEYS) {
    if (fallback === undefined) continue
    const judged = judgeValue(kind, writtenValue(kind, fallback))
    expect([name, judged]).toEqual([name, { ok: true, value: fallback }])
  }
})
