/** What the stream commands have in common: flags, the way they run, and the ways they end. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { coloursFor } from './colours.ts'
import { parseDurationMs } from './duration.ts'
import { PipeOutput } from './pipe-output.ts'
import { StreamConnection } from './stream-connection.ts'
import { CommandFailure, STREAM_EXIT, STREAM_EXIT_HELP, toFailure } from './stream-failure.ts'
import { DEFAULT_URL, type StreamTarget, type TargetFlags, targetOf } from './stream-target.ts'

/** Flags of every stream command. */
export interface StreamFlags extends TargetFlags {
  readonly json?: true
}

/** A command while it runs. */
export interface StreamRun {
  readonly target: StreamTarget
  readonly connection: StreamConnection
  /** Aborted by Ctrl-C; the second Ctrl-C ends the process at once. */
  readonly interrupt: AbortController
}

const ADDRESS_HELP = `
A stream is called by its name below the root, such as orders/42, or by a whole http(s) URL.

Environment: MILLRACE_URL or STREAM_URL for --url, MILLRACE_AUTH or STREAM_AUTH for --auth. A flag comes before
MILLRACE_*, and that before STREAM_*. Others can see --auth in the list of processes: prefer the environment.`

/** Adds a command with the flags of all. `examples` are lines without indentation, `about` says what is special. */
export function streamCommand(
  program: Command,
  name: string,
  examples: readonly string[],
  about = '',
): Command {
  return program
    .command(name)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? STREAM_EXIT.ok : STREAM_EXIT.usage))
    .option('--url <base>', `root of the streams (default: ${DEFAULT_URL})`)
    .option('--auth <value>', 'value of the Authorization header, such as "Bearer <token>"')
    .addHelpText(
      'after',
      `${about}${ADDRESS_HELP}\n${STREAM_EXIT_HELP}\n\nExamples:\n  ${examples.join('\n  ')}`,
    )
}

/** The flags by which a stream gets an end; they go together with neither each other. */
export function addExpiryFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--ttl <duration>', 'remove it so long after its last use: 90s, 30m, 12h').argParser(
        wholeSeconds,
      ),
    )
    .addOption(
      new Option('--expires-at <time>', 'remove it at this time: 2027-01-31T12:00:00Z')
        .argParser(instant)
        .conflicts('ttl'),
    )
}

/** Runs a command on a stream, and ends it with a sentence and an exit code where something is wrong. */
export async function runOnStream(
  name: string,
  flags: StreamFlags,
  command: (run: StreamRun) => Promise<number>,
  isEndless = false,
): Promise<void> {
  const interrupt = new AbortController()
  const onInterrupt = (): void => interrupt.abort()
  process.once('SIGINT', onInterrupt)
  let target: StreamTarget | undefined
  try {
    target = targetOf(name, flags, process.env)
    for (const line of target.notes) note(line)
    const onLost = (): void => note('The server does not answer: trying again.')
    const connection = new StreamConnection(target, { isEndless, onLost }, interrupt.signal)
    process.exitCode = await command({ target, connection, interrupt })
  } catch (error) {
    const failure = interrupt.signal.aborted
      ? interrupted(error)
      : toFailure(error, target ?? { name, url: DEFAULT_URL })
    if (failure === undefined) throw error
    console.error(coloursFor(process.stderr).red(printable(failure.message, target?.auth)))
    process.exitCode = failure.exitCode
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

/** A remark for the user, beside the output. */
export function note(line: string): void {
  console.error(coloursFor(process.stderr).dim(line))
}

/** A result on standard output. Rejects with a failure when it can't be written. */
export async function print(line: string): Promise<void> {
  await new PipeOutput().write(`${line}\n`)
}

function interrupted(error: unknown): CommandFailure {
  return error instanceof CommandFailure ? error : new CommandFailure('Interrupted.', STREAM_EXIT.interrupted)
}

/** What a server says can hold anything: no terminal is steered by it, and no secret comes back out. */
function printable(text: string, auth: string | undefined): string {
  const secrets = auth === undefined ? [] : [auth, auth.replace(/^\S+\s+/, '')]
  const safe = secrets.reduce((rest, secret) => rest.replaceAll(secret, '[--auth]'), text)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are taken out
  return safe.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}

function wholeSeconds(text: string): number {
  const unit = /^([0-9]+)d$/.exec(text.trim())
  const ms = unit === null ? parseDurationMs(text) : Number(unit[1]) * 86_400_000
  if (ms !== undefined && Number.isSafeInteger(ms / 1000)) return ms / 1000
  throw new InvalidArgumentError('Write whole seconds, such as 90s, 30m, 12h or 7d.')
}

function instant(text: string): string {
  const isInstant = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text)
  if (isInstant && !Number.isNaN(Date.parse(text.toUpperCase()))) return text
  throw new InvalidArgumentError('Write a date and time with a zone, such as 2027-01-31T12:00:00Z.')
}
