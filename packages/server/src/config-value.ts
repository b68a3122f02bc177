/** Kinds of configuration values: how each is written in TOML and in the environment, and what it must be. */
import { isLogFilter } from './log-level.ts'

/** What a value is and what it must be; messages are made of it. */
export type ValueKind =
  /** `host:port`, `[v6]:port` or a port. */
  | { readonly kind: 'address' }
  | { readonly kind: 'port' }
  /** A plain number is seconds; `400ms`, `30s`, `5m`, `1h` too. Kept in milliseconds. */
  | { readonly kind: 'duration'; readonly leastMs: number }
  /** A plain number is bytes; `64KiB`, `16MiB`, `1GB` too. */
  | { readonly kind: 'bytes'; readonly least: number }
  | { readonly kind: 'count'; readonly least: number; readonly rule?: CountRule }
  | { readonly kind: 'flag' }
  | { readonly kind: 'text' }
  /** A log level, or filters of them. */
  | { readonly kind: 'log' }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  /** An array of strings; in the environment separated by commas. */
  | { readonly kind: 'list'; readonly of?: readonly string[] }

/** A rule beyond being a whole number. */
export type CountRule = 'power of two up to 256'

/** What a file or a variable holds before it is judged. */
export type RawValue = string | number | bigint | boolean | readonly unknown[] | object

/** A value of any kind, judged. */
export type ConfigValue = string | number | boolean | readonly string[]

/** A value, or what it must be, as the end of a sentence. */
export type Judged =
  | { readonly ok: true; readonly value: ConfigValue }
  | { readonly ok: false; readonly must: string }

/** Judges one value; text from the environment and values of a TOML file are treated alike. */
export function judgeValue(kind: ValueKind, raw: RawValue): Judged {
  switch (kind.kind) {
    case 'address':
      return judge(textThat(isAddress, raw), 'be an address such as 127.0.0.1:4437')
    case 'port':
      return judge(wholeNumber(raw, 0, 65_535), 'be a port from 0 to 65535')
    case 'duration':
      return judge(
        duration(raw, kind.leastMs),
        `be a duration such as 30 (seconds), 400ms or 5m${kind.leastMs % 1000 === 0 ? atLeast(kind.leastMs / 1000) : `, at least ${kind.leastMs}ms`}`,
      )
    case 'bytes':
      return judge(
        bytes(raw, kind.least),
        `be a size such as 1048576 (bytes), 64KiB or 16MiB${atLeast(kind.least)}`,
      )
    case 'count':
      return judgeCount(kind.least, kind.rule, raw)
    case 'flag':
      return judge(flag(raw), 'be true or false')
    case 'text':
      return judge(
        textThat((text) => text !== '', raw),
        'be a text that is not empty',
      )
    case 'log':
      return judge(textThat(isLogFilter, raw), 'be off, error, warn, info, debug or trace')
    case 'choice':
      return judge(choice(raw, kind.of), `be one of ${kind.of.join(', ')}`)
    case 'list':
      return judge(
        list(raw, kind.of),
        kind.of ? `be a list of ${kind.of.join(', ')}` : 'be a list without empty entries',
      )
  }
}

function judge(value: ConfigValue | undefined, must: string): Judged {
  return value === undefined ? { ok: false, must } : { ok: true, value }
}

function textThat(fits: (text: string) => boolean, raw: RawValue): string | undefined {
  return typeof raw === 'string' && fits(raw) ? raw : undefined
}

function atLeast(least: number): string {
  return least === 0 ? '' : `, at least ${least}`
}

function judgeCount(least: number, rule: CountRule | undefined, raw: RawValue): Judged {
  const number = wholeNumber(raw, least, Number.MAX_SAFE_INTEGER)
  if (rule === undefined) return judge(number, `be a whole number, at least ${least}`)
  const isPower = number !== undefined && number <= 256 && Number.isInteger(Math.log2(number))
  return judge(isPower ? number : undefined, 'be a power of two from 1 to 256')
}

function wholeNumber(raw: RawValue, least: number, most: number): number | undefined {
  const isWritten = typeof raw === 'string' && /^[0-9]+$/.test(raw.trim())
  const number = typeof raw === 'number' || typeof raw === 'bigint' || isWritten ? Number(raw) : Number.NaN
  return Number.isSafeInteger(number) && number >= least && number <= most ? number : undefined
}

const DURATION_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Milliseconds of `400ms`, `30s`, `5m`, `1h`, `7d` or a plain number of seconds; `undefined` if it is none of these. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim())
  const unitMs = DURATION_UNITS_MS.get(match?.[2] ?? 's')
  return match?.[1] === undefined || unitMs === undefined ? undefined : Number(match[1]) * unitMs
}

function duration(raw: RawValue, leastMs: number): number | undefined {
  const ms = typeof raw === 'string' ? parseDurationMs(raw) : numberOf(raw) * 1000
  return ms !== undefined && Number.isFinite(ms) && ms >= leastMs ? ms : undefined
}

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['b', 1],
  ['kb', 1000],
  ['mb', 1000 ** 2],
  ['gb', 1000 ** 3],
  ['tb', 1000 ** 4],
  ['kib', 1024],
  ['mib', 1024 ** 2],
  ['gib', 1024 ** 3],
  ['tib', 1024 ** 4],
])

function bytes(raw: RawValue, least: number): number | undefined {
  const match =
    typeof raw === 'string' ? /^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)?$/.exec(raw.trim()) : undefined
  const unit = SIZE_UNITS.get((match?.[2] ?? 'b').toLowerCase())
  const size =
    typeof raw === 'string' ? Number(match?.[1] ?? Number.NaN) * (unit ?? Number.NaN) : numberOf(raw)
  return Number.isSafeInteger(size) && size >= least ? size : undefined
}

function numberOf(raw: RawValue): number {
  return typeof raw === 'number' || typeof raw === 'bigint' ? Number(raw) : Number.NaN
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
])

function flag(raw: RawValue): boolean | undefined {
  if (typeof raw === 'boolean') return raw
  return typeof raw === 'string' ? FLAGS.get(raw.trim().toLowerCase()) : undefined
}

function choice(raw: RawValue, of: readonly string[]): string | undefined {
  const wanted = typeof raw === 'string' ? raw.trim().toLowerCase() : undefined
  return of.find((one) => one === wanted)
}

function list(raw: RawValue, of: readonly string[] | undefined): readonly string[] | undefined {
  const entries: readonly unknown[] | undefined =
    typeof raw === 'string'
      ? raw.split(',').map((entry) => entry.trim())
      : Array.isArray(raw)
        ? raw
        : undefined
  if (typeof raw === 'string' && raw.trim() === '') return []
  const texts = entries?.filter((entry): entry is string => typeof entry === 'string' && entry.trim() !== '')
  if (entries === undefined || texts === undefined || texts.length !== entries.length) return undefined
  const wanted = texts.map((text) => text.trim())
  return of === undefined || wanted.every((text) => of.includes(text)) ? wanted : undefined
}

function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined
}

/** Host and port of `127.0.0.1:4437`, `[::1]:4437` or `localhost:0`; `undefined` if it is none. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

/** An address as it is written, with another host, another port, or both. */
export function withAddress(
  address: ConfigValue | undefined,
  { host, port }: { readonly host?: string; readonly port?: number },
): string {
  const start = parseAddress(String(address)) ?? { host: '127.0.0.1', port: 0 }
  const name = host ?? start.host
  return `${name.includes(':') ? `[${name}]` : name}:${port ?? start.port}`
}
