/** Log levels, and the filters of Rust programs that name them. */
import type { LoadedConfig } from './load-config.ts'

/** All levels: each has what those before it have. */
export const LOG_LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const
/** How much a server says. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Names under which filters speak of this server. */
const OUR_TARGET = /^(?:millrace|durable[_-]streams)/

/** The level of `info` or `debug` in `hyper=info,millrace=debug`; `undefined` where nothing is said about us. */
export function logLevelIn(filter: string): LogLevel | undefined {
  const directives = filter.split(',').map((directive) => directive.trim())
  const own = directives.find((directive) => OUR_TARGET.test(directive) && directive.includes('='))
  const bare = directives.find((directive) => levelNamed(directive) !== undefined)
  return levelNamed(own?.slice(own.lastIndexOf('=') + 1)) ?? levelNamed(bare)
}

/** Whether each directive is a level, or a target with one. */
export function isLogFilter(filter: string): boolean {
  return filter.split(',').every((directive) => levelNamed(directive.slice(directive.lastIndexOf('=') + 1)))
}

function levelNamed(text: string | undefined): LogLevel | undefined {
  const wanted = text?.trim().toLowerCase()
  return LOG_LEVELS.find((level) => level === wanted)
}

/** How much a server of this configuration says: `info` unless `observability.rust_log` or `RUST_LOG` says otherwise. */
export function logLevelOf(config: LoadedConfig): LogLevel {
  return logLevelIn(String(config.get('observability.rust_log'))) ?? 'info'
}
