/** Options of the command line, and what their values may be. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { TARGET_NAMES, type TargetName } from './target-process.ts'
import { UsageError } from './usage-error.ts'

const OPTIONS = {
  targets: { type: 'string' },
  url: { type: 'string' },
  pid: { type: 'string' },
  target: { type: 'string' },
  rounds: { type: 'string', default: '5' },
  connections: { type: 'string', default: '64' },
  requests: { type: 'string' },
  streams: { type: 'string' },
  events: { type: 'string', default: '300000' },
  bodies: { type: 'string', default: 'binary,json' },
  readers: { type: 'string', default: '1,100,1000' },
  deliveries: { type: 'string', default: '100000' },
  window: { type: 'string', default: '1' },
  'idle-readers': { type: 'string', default: '1000' },
  'idle-seconds': { type: 'string', default: '180' },
  mebibytes: { type: 'string' },
  'max-seconds': { type: 'string', default: '30' },
  'warm-up-requests': { type: 'string', default: '0' },
  'data-root': { type: 'string', default: '' },
  cold: { type: 'string', default: 'yes' },
  'node-options': { type: 'string', default: '' },
  markdown: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

type Parsed = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>
export type Options = Parsed['values']

export function parseCommand(args: readonly string[]): Parsed {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
}

export function parseCount(name: string, text: string | undefined): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new UsageError(`--${name} takes a positive number`)
  return count
}

export function parseCounts(name: string, text: string): number[] {
  return text.split(',').map((part) => parseCount(name, part))
}

/** Where data directories are made: the system's temporary directory unless given. */
export function parseRoot(text: string): string {
  return text === '' ? tmpdir() : text
}

export function parseYes(name: string, text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw new UsageError(`--${name} takes yes or no`)
  return text === 'yes'
}

export function parseTarget(text: string): TargetName {
  const target = TARGET_NAMES.find((name) => name === text)
  if (target === undefined) throw new UsageError(`unknown target ${text}: ${TARGET_NAMES.join(', ')}`)
  return target
}

export function parseTargets(text: string): TargetName[] {
  return text.split(',').map(parseTarget)
}
