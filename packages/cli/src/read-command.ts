/** `millrace read` and `millrace tail`: a stream on standard output. */
import { type ByteChunk, type LegacyLiveMode, stream } from '@millrace/client'
import { type Command, Option } from 'commander'
import { isJsonType, toJsonArray, toJsonLines } from './json-lines.ts'
import { PipeOutput } from './pipe-output.ts'
import { note, runOnStream, type StreamFlags, type StreamRun, streamCommand } from './stream-command.ts'
import { STREAM_EXIT } from './stream-failure.ts'

interface ReadFlags extends StreamFlags {
  readonly offset: string
  readonly showOffset?: true
  readonly live?: LegacyLiveMode
}

const OUTPUT_HELP = `
Streams of application/json come as one message a line, exactly as they were written; all others come as their bytes.
With --json each line is an object for some messages that came together: "offset" is where to go on after them, then
"upToDate" and "closed", and "messages" or, where the stream is not JSON, "base64".
`

/** Adds both commands. */
export function addReadCommands(program: Command): void {
  readFlags(
    streamCommand(
      program,
      'read',
      [
        'millrace read orders/42',
        'millrace read orders/42 --offset 0000000000000000_0000000000000120 --show-offset',
        'millrace read orders/42 --json | tail -1 | jq -r .offset',
        'millrace read pictures/1 > picture.png',
      ],
      OUTPUT_HELP,
    ),
    '-1',
  )
    .description('print what a stream holds')
    .action((name: string, flags: ReadFlags) => runOnStream(name, flags, (run) => printStream(run, flags)))
  readFlags(
    streamCommand(
      program,
      'tail',
      [
        'millrace tail orders/42',
        'millrace tail orders/42 --offset -1 | jq .total',
        'millrace tail logs/web --live sse',
      ],
      OUTPUT_HELP,
    ),
    'now',
  )
    .description('print what is appended to a stream, until it is closed or you press Ctrl-C')
    .addOption(
      new Option('--live <mode>', 'how to wait; sse makes the line ends of text streams LF')
        .choices(['long-poll', 'sse'])
        .default('long-poll'),
    )
    .action((name: string, flags: ReadFlags) =>
      runOnStream(name, flags, (run) => printStream(run, flags), true),
    )
}

function readFlags(command: Command, offset: string): Command {
  return command
    .argument('<stream>', 'name or URL of the stream')
    .option(
      '--offset <offset>',
      'where to begin: -1 the beginning, now the present end, or an offset',
      offset,
    )
    .option('--show-offset', 'say on stderr at the end where to go on')
    .option('--json', 'print one JSON object a line, with offsets')
}

async function printStream({ connection, interrupt }: StreamRun, flags: ReadFlags): Promise<number> {
  const output = new PipeOutput()
  const { live = false, offset } = flags
  const response = await stream({ ...connection.options, offset, live })
  const isJson = isJsonType(response.contentType)
  let isFirst = true
  let hasReader = true
  response.subscribeBytes(async (chunk) => {
    const text = flags.json
      ? envelope(chunk, isJson, isFirst || (live === false && chunk.upToDate))
      : isJson
        ? toJsonLines(chunk.data)
        : chunk.data
    isFirst = false
    hasReader = text.length === 0 || (await output.write(text))
    if (!hasReader) response.cancel()
  })
  await response.closed
  // Where the reader of a pipe has left, nobody knows.
  if (flags.showOffset && hasReader) note(`Next offset: ${response.offset}`)
  return interrupt.signal.aborted && live === false ? STREAM_EXIT.interrupted : STREAM_EXIT.ok
}

/** Empty when there is nothing to tell, as after a long-poll in vain. */
function envelope(chunk: ByteChunk, isJson: boolean, isDue: boolean): string {
  const { data, offset, upToDate, streamClosed: closed } = chunk
  if (data.length === 0 && !closed && !isDue) return ''
  const position = JSON.stringify({ offset, upToDate, closed }).slice(0, -1)
  const content = isJson
    ? `"messages":${toJsonArray(data)}`
    : `"base64":"${Buffer.from(data).toString('base64')}"`
  return `${position},${content}}\n`
}
