/** `millrace config`: whether the configuration is sound, what is in force and why, and a schema for editors. */
import {
  ConfigError,
  configSchema,
  type LoadedConfig,
  readTlsFiles,
  serverOptionsOf,
  TlsFileError,
} from '@millrace/server'
import type { Command } from 'commander'
import { coloursFor } from './colours.ts'
import { configJson, configToml, sourcesOf } from './config-text.ts'
import { addServeFlags, addStorageFlags, type ServeFlags, serveConfig } from './serve-flags.ts'
import { UsageError } from './usage-error.ts'

interface ConfigFlags extends ServeFlags {
  readonly json?: boolean
}

/** Adds `config check`, `config print` and `config schema`. */
export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('check, print or describe the configuration of serve')
  const withFlags = (name: string, about: string): Command =>
    addServeFlags(addStorageFlags(config.command(name).description(about))).option('--json', 'print JSON')
  withFlags('check', 'say whether serve would start with these files, variables and flags')
    .addHelpText('after', '\nThe exit code is 0 if it would, and 1 if something has to be mended.')
    .action(check)
  withFlags('print', 'print the values in force and where each comes from; secrets are masked').action(print)
  config
    .command('schema')
    .description('print a JSON Schema of configuration files, for editors')
    .action(() => console.log(JSON.stringify(configSchema(), undefined, 2)))
}

async function check(flags: ConfigFlags): Promise<void> {
  const { problems, config } = await judge(flags)
  if (problems.length > 0) process.exitCode = 1
  if (flags.json) {
    const { profile, files = [], notes = [] } = config ?? {}
    console.log(
      JSON.stringify({ isSound: problems.length === 0, problems, profile, files, notes }, undefined, 2),
    )
    return
  }
  const { red, yellow, green } = coloursFor(process.stdout)
  for (const problem of problems) console.log(red(problem))
  for (const note of config?.notes ?? []) console.log(yellow(note))
  if (problems.length === 0 && config)
    console.log(`${green('The configuration is sound:')} ${sourcesOf(config)}.`)
}

interface Verdict {
  readonly problems: readonly string[]
  readonly config?: LoadedConfig
}

/** Everything that can be found out without opening a store or a port. */
async function judge(flags: ServeFlags): Promise<Verdict> {
  try {
    const config = await serveConfig(flags)
    return { config, problems: await tlsProblems(config) }
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems }
    if (error instanceof UsageError) return { problems: [error.message] }
    throw error
  }
}

async function tlsProblems(config: LoadedConfig): Promise<readonly string[]> {
  const { tls } = serverOptionsOf(config)
  if (tls === undefined) return []
  try {
    await readTlsFiles(tls)
    return []
  } catch (error) {
    if (error instanceof TlsFileError) return [error.message]
    throw error
  }
}

async function print(flags: ConfigFlags): Promise<void> {
  const config = await serveConfig(flags)
  if (flags.json) {
    console.log(JSON.stringify(configJson(config), undefined, 2))
  } else console.log(configToml(config, coloursFor(process.stdout).dim).join('\n'))
}
