/** `millrace close` and `millrace delete`: the ends of a stream. */
import { randomUUID } from 'node:crypto'
import { type CloseResult, IdempotentProducer } from '@millrace/client'
import type { Command } from 'commander'
import { headOf } from './head-command.ts'
import { messageBytes } from './input-message.ts'
import { isJsonType } from './json-lines.ts'
import { print, runOnStream, type StreamFlags, type StreamRun, streamCommand } from './stream-command.ts'
import { CommandFailure, STREAM_EXIT } from './stream-failure.ts'

/** Adds both commands. */
export function addCloseCommands(program: Command): void {
  streamCommand(program, 'close', [
    'millrace close orders/42',
    'millrace close orders/42 \'{"type":"done"}\'',
  ])
    .description('close a stream for everyone: it can be read, and nothing can be appended any more')
    .argument('<stream>', 'name or URL of the stream')
    .argument('[message]', 'last message: it is stored and the stream closed, or neither')
    .option('--json', 'print the result as JSON')
    .action((name: string, message: string | undefined, flags: StreamFlags) =>
      runOnStream(name, flags, (run) => closeStream(run, message, flags)),
    )
  streamCommand(program, 'delete', ['millrace delete orders/42'])
    .description('delete a stream with everything in it')
    .argument('<stream>', 'name or URL of the stream')
    .option('--json', 'print the result as JSON')
    .action((name: string, flags: StreamFlags) => runOnStream(name, flags, (run) => deleteStream(run, flags)))
}

async function closeStream(run: StreamRun, message: string | undefined, flags: StreamFlags): Promise<number> {
  const { name } = run.target
  const { finalOffset } = await (message === undefined
    ? run.connection.handle().close()
    : closeWith(run, message))
  if (flags.json) await print(JSON.stringify({ stream: name, closed: true, offset: finalOffset }))
  else await print(`Closed ${name}; it ends at offset ${finalOffset}`)
  return STREAM_EXIT.ok
}

/** A producer, so that an answer that was lost does not look like a stream that somebody else has closed. */
async function closeWith(run: StreamRun, message: string): Promise<CloseResult> {
  const { contentType, streamClosed } = await headOf(run)
  const last = messageBytes(message, 'The last message', isJsonType(contentType))
  if (streamClosed) {
    throw new CommandFailure(
      `The stream ${run.target.name} is closed already: the last message was not stored.`,
      STREAM_EXIT.conflict,
    )
  }
  const handle = run.connection.handle()
  handle.contentType = contentType ?? 'application/octet-stream'
  return new IdempotentProducer(handle, randomUUID()).close(last)
}

async function deleteStream({ target, connection }: StreamRun, flags: StreamFlags): Promise<number> {
  await connection.handle().delete()
  if (flags.json) await print(JSON.stringify({ stream: target.name, deleted: true }))
  else await print(`Deleted ${target.name}`)
  return STREAM_EXIT.ok
}
