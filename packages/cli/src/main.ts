/** The `millrace` command. */
import { readFileSync } from 'node:fs'
import { ConfigError } from '@millrace/server'
import { Command } from 'commander'
import { addBackupCommand } from './backup-command.ts'
import { coloursFor } from './colours.ts'
import { addConfigCommand } from './config-command.ts'
import { addInspectCommand } from './inspect-command.ts'
import { addKeyCommand } from './key-command.ts'
import { addRestoreCommand } from './restore-command.ts'
import { serve } from './serve.ts'
import { addServeFlags, addStorageFlags, devConfig, type ServeFlags, serveConfig } from './serve-flags.ts'
import { addStreamCommands } from './stream-commands.ts'
import { UsageError } from './usage-error.ts'
import { addVerifyCommand } from './verify-command.ts'

const { version } = readPackage()

function readPackage(): { readonly version: string } {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  if (
    typeof parsed === 'object' &&
    parsed !== null &&
    'version' in parsed &&
    typeof parsed.version === 'string'
  ) {
    return { version: parsed.version }
  }
  throw new Error('package.json has no version')
}

const program = new Command('millrace')
  .description('Durable Streams: append-only streams over HTTP, with live tails.')
  .version(version, '--version', 'print the version')

addServeFlags(addStorageFlags(program.command('serve').description('run a server')))
  .addHelpText(
    'after',
    '\nWhat is not given by a flag is read from config/*.toml and DS_* variables; millrace config print shows it.\n' +
      '\nExamples:\n  millrace serve\n  millrace serve --port 0 --storage memory\n' +
      '  millrace serve --host 0.0.0.0 --allow-host streams.example.com --auth none\n' +
      '  millrace serve --profile prod-tls --tls-cert server.pem --tls-key server.key',
  )
  .action(async (flags: ServeFlags) => serve(await serveConfig(flags)))

addServeFlags(program.command('dev').description('run a server in memory, for trying things out')).action(
  async (flags: ServeFlags) => serve(await devConfig(flags)),
)

addConfigCommand(program)
addKeyCommand(program)
addStreamCommands(program)
addBackupCommand(program)
addRestoreCommand(program)
addVerifyCommand(program)
addInspectCommand(program)

program
  .command('version')
  .description('print the version')
  .action(() => console.log(version))

nameHelp(program, 'millrace')

/** After an error each command names its own help: that of the whole lists no flags. */
function nameHelp(command: Command, name: string): void {
  const what = command.commands.length > 0 ? 'all commands' : 'its arguments and flags'
  command.showHelpAfterError(`Run ${name} --help for ${what}.`)
  for (const below of command.commands) nameHelp(below, `${name} ${below.name()}`)
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof UsageError || error instanceof ConfigError)) throw error
  console.error(coloursFor(process.stderr).red(error.message))
  process.exitCode = 1
}
