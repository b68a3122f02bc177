/** `millrace append`: messages from arguments, pipes and files. */
import { type Command, InvalidArgumentError } from 'commander'
import { byteText } from './byte-text.ts'
import { headOf } from './head-command.ts'
import {
  evenPieces,
  jsonLines,
  messageBytes,
  type OpenInput,
  openInput,
  wholeInput,
} from './input-message.ts'
import { isJsonType, whyNotJson } from './json-lines.ts'
import { type Appended, MessageWriter } from './message-writer.ts'
import { Progress } from './progress.ts'
import { print, runOnStream, type StreamFlags, type StreamRun, streamCommand } from './stream-command.ts'
import { CommandFailure, STREAM_EXIT, toFailure, usageFailure } from './stream-failure.ts'

interface AppendFlags extends StreamFlags {
  readonly file?: string
  readonly whole?: true
  readonly batch?: number
  readonly producerId?: string
}

/** Bytes of one request where requests have to be the same in each run. */
const PIECE_BYTES = 256 * 1024

const INPUT_HELP = `
Each argument is one message. Without arguments the input is read to its end, with little memory however long it is:
on a stream of application/json each line is one message, which has to be JSON; on all others it is appended as it is.
A line that is not JSON ends the command, and nothing after it is sent.

Every message is stored once and in order, also when requests or answers are lost. With --producer-id this holds for
repeated runs as well: run the same command with the same input again and only what is missing is appended. Message n
of the input is message n of the id, so the input may have grown at its end, if there is no --batch and the messages
are lines or arguments. Use a new id for other messages.
`

/** Adds the command. */
export function addAppendCommand(program: Command): void {
  streamCommand(
    program,
    'append',
    [
      'millrace append orders/42 \'{"type":"paid"}\' \'{"type":"shipped"}\'',
      'millrace append orders/42 < events.ndjson',
      "jq -c '.[]' events.json | millrace append orders/42",
      'millrace append orders/42 --whole --file order.json',
      'millrace append orders/42 --file events.ndjson --producer-id import-7',
      'tail -f web.log | millrace append logs/web',
    ],
    INPUT_HELP,
  )
    .description('append messages to a stream')
    .argument('<stream>', 'name or URL of the stream')
    .argument('[messages...]', 'the messages; put -- in front of one that begins with a dash')
    .option('--file <path>', 'read the input from a file; - is standard input')
    .option('--whole', 'the input is one message, whatever lines it has')
    .option(
      '--batch <number>',
      'put so many messages into each request, which is stored whole or not at all',
      batchSize,
    )
    .option('--producer-id <id>', 'append what an earlier run with this id has not', producerId)
    .option('--json', 'print the result as JSON')
    .action((name: string, messages: readonly string[], flags: AppendFlags) =>
      runOnStream(name, flags, (run) => append(run, messages, flags)),
    )
}

async function append(run: StreamRun, messages: readonly string[], flags: AppendFlags): Promise<number> {
  if (messages.length > 0 && (flags.file !== undefined || flags.whole)) {
    throw usageFailure('Name messages or use --file and --whole, not both. Nothing was sent.')
  }
  const input = messages.length > 0 ? undefined : await openInput(flags.file)
  const stop = (): void => input?.stop()
  try {
    const { contentType = 'application/octet-stream', streamClosed } = await headOf(run)
    const isJson = isJsonType(contentType)
    if (streamClosed) {
      throw new CommandFailure(
        `The stream ${run.target.name} is closed: nothing can be appended to it any more.`,
        STREAM_EXIT.conflict,
      )
    }
    const handle = run.connection.lastingHandle()
    handle.contentType = contentType
    run.interrupt.signal.addEventListener('abort', stop)
    const batch = flags.batch ?? (flags.producerId === undefined ? undefined : 1)
    const countsMessages = isJson || input === undefined || flags.whole === true
    const appended = await writeAll({
      run,
      writer: new MessageWriter(handle, { producerId: flags.producerId, batch, onLost: stop }),
      source: input === undefined ? listed(messages, isJson) : incoming(input, isJson, flags),
      countsMessages,
      progress: progressOf(input),
    })
    await report(run, appended, countsMessages, flags)
    return STREAM_EXIT.ok
  } finally {
    stop()
  }
}

function progressOf(input: OpenInput | undefined): Progress | undefined {
  if (input?.totalBytes === undefined || process.stderr.isTTY !== true) return undefined
  const progress = new Progress(process.stderr, 'Append')
  progress.start(input.totalBytes)
  return progress
}

async function* listed(messages: readonly string[], isJson: boolean): AsyncGenerator<Uint8Array> {
  yield* messages.map((text, at) => messageBytes(text, `Message ${at + 1}`, isJson))
}

function incoming(
  { source }: OpenInput,
  isJson: boolean,
  { whole, batch, producerId: id }: AppendFlags,
): AsyncIterable<Uint8Array> {
  if (whole) return wholeMessage(source, isJson)
  if (isJson) return jsonLines(source)
  if (batch !== undefined) {
    throw usageFailure(
      '--batch counts messages, and bytes that are piped in have none: leave it out. Nothing was sent.',
    )
  }
  return id === undefined ? source : evenPieces(source, PIECE_BYTES)
}

async function* wholeMessage(source: OpenInput['source'], isJson: boolean): AsyncGenerator<Uint8Array> {
  const bytes = await wholeInput(source)
  const problem = isJson && bytes.length > 0 ? whyNotJson(bytes) : undefined
  if (problem !== undefined) throw usageFailure(`The input is not JSON (${problem}). Nothing was sent.`)
  if (bytes.length > 0) yield bytes
}

/** The job between its input and its writer. */
interface Job {
  readonly run: StreamRun
  readonly writer: MessageWriter
  readonly source: AsyncIterable<Uint8Array>
  readonly countsMessages: boolean
  readonly progress: Progress | undefined
}

async function writeAll({ run, writer, source, countsMessages, progress }: Job): Promise<Appended> {
  const isBroken = (): boolean => run.interrupt.signal.aborted || writer.failure !== undefined
  let broken: unknown
  try {
    for await (const message of source) {
      if (isBroken()) break
      await writer.add(message)
      progress?.add(message.length + 1)
    }
    if (!isBroken()) return await writer.finish()
  } catch (error) {
    broken = error
  } finally {
    progress?.stop()
  }
  await writer.settle()
  const why = run.interrupt.signal.aborted
    ? new CommandFailure('Interrupted.', STREAM_EXIT.interrupted)
    : toFailure(writer.failure ?? broken, run.target)
  if (why === undefined) throw broken
  throw new CommandFailure(`${why.message} ${tally(writer, countsMessages)}`, why.exitCode)
}

function tally({ outcome }: MessageWriter, countsMessages: boolean): string {
  const { stored, mayBeStored } = outcome
  if (!countsMessages)
    return stored + mayBeStored === 0 ? 'Nothing was sent.' : 'A part of the input is stored.'
  const certain =
    stored === 0
      ? 'Nothing is stored'
      : `The ${stored === 1 ? 'message before it is' : `${stored} messages before it are`} stored`
  const unsure =
    mayBeStored === 0 ? '' : `; ${mayBeStored} more may be: read the stream before sending them again`
  return `${certain}${unsure}.`
}

async function report(
  { target }: StreamRun,
  appended: Appended,
  countsMessages: boolean,
  flags: AppendFlags,
): Promise<void> {
  const { messages, bytes, duplicateBatches, offset } = appended
  if (messages === 0) throw usageFailure('The input is empty: nothing was appended.')
  if (flags.json) {
    const counted = countsMessages ? { messages } : {}
    await print(JSON.stringify({ stream: target.name, ...counted, bytes, duplicateBatches, offset }))
    return
  }
  const what = countsMessages ? messageText(messages) : byteText(bytes)
  const repeated =
    duplicateBatches === 0
      ? ''
      : `, of which ${duplicateBatches} ${duplicateBatches === 1 ? 'request was' : 'requests were'} stored before`
  const end = offset === undefined ? '' : `; it ends at offset ${offset}`
  await print(`Appended ${what} to ${target.name}${repeated}${end}`)
}

function messageText(count: number): string {
  return `${count} message${count === 1 ? '' : 's'}`
}

function batchSize(text: string): number {
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number from 1 to 999999.')
}

function producerId(text: string): string {
  if (/^[\x21-\x7e]{1,256}$/.test(text)) return text
  throw new InvalidArgumentError('Write 1 to 256 ASCII characters without spaces, such as import-7.')
}
