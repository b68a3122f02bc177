/** The `millrace` command. */
import { readFileSync } from 'node:fs'
import { DEFAULT_PORT } from '@millrace/server'
import { Command, InvalidArgumentError, Option } from 'commander'
import { addBackupCommand } from './backup-command.ts'
import { coloursFor } from './colours.ts'
import { parseDurationMs } from './duration.ts'
import { addInspectCommand } from './inspect-command.ts'
import { addRestoreCommand } from './restore-command.ts'
import { type ServeSettings, serve, UsageError } from './serve.ts'
import { STORAGE_MODES } from './storage-mode.ts'
import { addStreamCommands } from './stream-commands.ts'
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

function port(text: string): number {
  const number = Number(text)
  if (/^[0-9]+$/.test(text) && number <= 65_535) return number
  throw new InvalidArgumentError('A port is a number from 0 to 65535; 0 picks a free one.')
}

function duration(text: string): number {
  const ms = parseDurationMs(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('Write a duration such as 400ms, 30s or 5m.')
}

function wait(text: string): number {
  const ms = duration(text)
  if (ms >= 1) return ms
  throw new InvalidArgumentError('A long-poll waits at least 1ms.')
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value]
}

interface ServeFlags {
  readonly host: string
  readonly port: number
  readonly storage?: string
  readonly dataDir?: string
  readonly longPollTimeout: number
  readonly sseReconnectInterval: number
  readonly streamBasePath: string
  readonly allowOrigin: readonly string[]
  readonly allowHost: readonly string[]
  readonly publicUrl?: string
}

function addServeFlags(command: Command): Command {
  return command
    .option(
      '--host <address>',
      'address to listen on; anything but loopback is open to the network',
      '127.0.0.1',
    )
    .option('--port <number>', 'port to listen on; 0 picks a free one', port, DEFAULT_PORT)
    .addOption(
      new Option('--long-poll-timeout <duration>', 'how long a long-poll waits for data')
        .argParser(wait)
        .default(30_000, '30s'),
    )
    .addOption(
      new Option('--sse-reconnect-interval <duration>', 'how long an SSE response lasts; 0 for ever')
        .argParser(duration)
        .default(60_000, '60s'),
    )
    .option('--stream-base-path <path>', 'URL path of the stream root', '/v1/stream')
    .option(
      '--allow-origin <origin>',
      'let web pages of this origin in; repeat for more, * for all',
      collect,
      [],
    )
    .option('--allow-host <name>', 'answer to this Host name; repeat for more, * for all', collect, [])
    .option('--public-url <url>', 'scheme and host of the URLs in Location headers')
}

function toSettings(flags: ServeFlags, storage: string): ServeSettings {
  return {
    host: flags.host,
    port: flags.port,
    storage,
    dataDir: flags.dataDir ?? './data',
    longPollTimeoutMs: flags.longPollTimeout,
    sseReconnectIntervalMs: flags.sseReconnectInterval,
    streamBasePath: flags.streamBasePath,
    allowedOrigins: flags.allowOrigin,
    allowedHosts: flags.allowHost,
    publicUrl: flags.publicUrl,
  }
}

const program = new Command('millrace')
  .description('Durable Streams: append-only streams over HTTP, with live tails.')
  .version(version, '--version', 'print the version')
  .showHelpAfterError('Run millrace --help for all commands and flags.')

addServeFlags(program.command('serve').description('run a server'))
  .addOption(
    new Option('--storage <mode>', `where streams are kept: ${STORAGE_MODES.join(', ')}`).default(
      'file-durable',
    ),
  )
  .option('--data-dir <path>', 'directory of the file storage modes (default: "./data")')
  .addHelpText(
    'after',
    '\nExamples:\n  millrace serve\n  millrace serve --port 0 --storage memory\n  millrace serve --host 0.0.0.0 --allow-host streams.example.com',
  )
  .action((flags: ServeFlags) => {
    if (flags.dataDir !== undefined && flags.storage === 'memory') {
      throw new UsageError('--data-dir has no effect with --storage memory: leave it out.')
    }
    return serve(toSettings(flags, flags.storage ?? 'file-durable'))
  })

addServeFlags(program.command('dev').description('run a server in memory, for trying things out')).action(
  (flags: ServeFlags) => serve(toSettings(flags, 'memory')),
)

addStreamCommands(program)
addBackupCommand(program)
addRestoreCommand(program)
addVerifyCommand(program)
addInspectCommand(program)

program
  .command('version')
  .description('print the version')
  .action(() => console.log(version))

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(coloursFor(process.stderr).red(error.message))
  process.exitCode = 1
}
