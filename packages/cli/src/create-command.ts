/** `millrace create` and `millrace fork`: new streams. */
import type { CreateOptions } from '@millrace/client'
import { type Command, InvalidArgumentError } from 'commander'
import { messageBytes } from './input-message.ts'
import { isJsonType } from './json-lines.ts'
import {
  addExpiryFlags,
  print,
  runOnStream,
  type StreamFlags,
  type StreamRun,
  streamCommand,
} from './stream-command.ts'
import { CommandFailure, isNoRoute, STREAM_EXIT, usageFailure } from './stream-failure.ts'
import { pathOf, targetOf } from './stream-target.ts'

interface ExpiryFlags extends StreamFlags {
  readonly ttl?: number
  readonly expiresAt?: string
}

interface CreateFlags extends ExpiryFlags {
  readonly contentType: string
  readonly closed?: true
}

interface ForkFlags extends ExpiryFlags {
  readonly from: string
  readonly offset?: string
  readonly subOffset?: number
}

/** What a stream is to be, without how it is reached. */
type Wanted = Pick<
  CreateOptions,
  | 'contentType'
  | 'ttlSeconds'
  | 'expiresAt'
  | 'body'
  | 'closed'
  | 'forkedFrom'
  | 'forkOffset'
  | 'forkSubOffset'
>

/** Adds both commands. */
export function addCreateCommands(program: Command): void {
  const create = streamCommand(program, 'create', [
    'millrace create orders/42 --content-type json',
    'millrace create orders/42 --content-type json \'{"type":"created"}\'',
    'millrace create sessions/7 --content-type text --ttl 30m',
    'millrace create notices/1 --content-type text --closed "All is said."',
  ])
    .description('create a stream; that it exists with the same settings is fine')
    .argument('<stream>', 'name or URL of the stream')
    .argument('[message]', 'first message')
    .option(
      '--content-type <type>',
      'what the stream holds; json and text are short for application/json and text/plain',
      contentType,
      'application/octet-stream',
    )
    .option('--closed', 'close it at once: it holds the message, or nothing, for ever')
  addExpiryFlags(create)
    .option('--json', 'print the result as JSON')
    .action((name: string, message: string | undefined, flags: CreateFlags) =>
      runOnStream(name, flags, (run) => createStream(run, message, flags)),
    )
  const fork = streamCommand(program, 'fork', [
    'millrace fork orders/42-what-if --from orders/42',
    'millrace fork chats/7-b --from chats/7 --offset 0000000000000000_0000000000000120',
  ])
    .description('create a stream that begins with what another one holds, without copying it')
    .argument('<stream>', 'name or URL of the new stream')
    .requiredOption('--from <source>', 'name or URL of the stream to fork, on the same server')
    .option('--offset <offset>', 'where to leave the source (default: its end)')
    .option('--sub-offset <number>', 'messages, or bytes, to take after --offset', count)
  addExpiryFlags(fork)
    .option('--json', 'print the result as JSON')
    .action((name: string, flags: ForkFlags) => runOnStream(name, flags, (run) => forkStream(run, flags)))
}

async function createStream(
  run: StreamRun,
  message: string | undefined,
  flags: CreateFlags,
): Promise<number> {
  const { ttl: ttlSeconds, expiresAt, contentType, closed } = flags
  const body = message === undefined ? undefined : firstContent(message, contentType)
  return create(run, { contentType, ttlSeconds, expiresAt, closed, body }, flags)
}

function firstContent(message: string, contentType: string): Buffer | string {
  const isJson = isJsonType(contentType)
  const bytes = messageBytes(message, 'The first message', isJson)
  // The array around it is taken off by the server, so that a message which is an array stays one message.
  return isJson ? `[${message}]` : bytes
}

async function forkStream(run: StreamRun, flags: ForkFlags): Promise<number> {
  const source = targetOf(flags.from, flags, process.env)
  if (new URL(source.url).origin !== new URL(run.target.url).origin) {
    throw usageFailure(
      '--from is on another server than the new stream: a fork stays on the server of its source.',
    )
  }
  const { ttl: ttlSeconds, expiresAt, offset: forkOffset, subOffset: forkSubOffset } = flags
  const forkedFrom = pathOf(source)
  try {
    return await create(run, { forkedFrom, forkOffset, forkSubOffset, ttlSeconds, expiresAt }, flags)
  } catch (error) {
    if (run.connection.lastStatus !== 404 || isNoRoute(error)) throw error
    throw new CommandFailure(`There is no stream ${flags.from} to fork.`, STREAM_EXIT.notFound)
  }
}

async function create(
  { target, connection }: StreamRun,
  wanted: Wanted,
  flags: StreamFlags,
): Promise<number> {
  const handle = await connection.handle().create(wanted)
  const { contentType } = handle
  const isNew = connection.lastStatus === 201
  if (flags.json) {
    await print(JSON.stringify({ stream: target.name, url: target.url, created: isNew, contentType }))
  } else {
    const what = isNew ? 'Created' : 'There already, with the same settings:'
    await print(`${what} ${target.name} (${contentType}) at ${target.url}`)
  }
  return STREAM_EXIT.ok
}

function contentType(text: string): string {
  const short = { json: 'application/json', text: 'text/plain' }[text]
  if (short !== undefined) return short
  if (/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;[\t\x20-\x7e]*)?$/.test(text)) return text
  throw new InvalidArgumentError(
    'Write a media type such as application/json or text/plain; json and text do, too.',
  )
}

function count(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number.')
}
