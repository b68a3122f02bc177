/** `millrace head`: what a stream says of itself. */
import type { HeadResult } from '@millrace/client'
import type { Command } from 'commander'
import { coloursFor } from './colours.ts'
import { print, runOnStream, type StreamFlags, type StreamRun, streamCommand } from './stream-command.ts'
import { noSuchStream, STREAM_EXIT } from './stream-failure.ts'

/** A stream that is there. */
export type StreamHead = Extract<HeadResult, { exists: true }>

/** Adds the command. */
export function addHeadCommand(program: Command): void {
  streamCommand(program, 'head', [
    'millrace head orders/42',
    'millrace head orders/42 --json | jq -r .offset',
  ])
    .description('say whether a stream exists, what it holds, where it ends and until when')
    .argument('<stream>', 'name or URL of the stream')
    .option('--json', 'print it as JSON')
    .action((name: string, flags: StreamFlags) => runOnStream(name, flags, (run) => show(run, flags)))
}

/** Asks the server once. Throws a failure when there is no such stream. */
export async function headOf({ target, connection }: StreamRun): Promise<StreamHead> {
  const head = await connection.handle().head()
  if (!head.exists) throw noSuchStream(target)
  return head
}

async function show(run: StreamRun, flags: StreamFlags): Promise<number> {
  const { contentType, offset, streamClosed: closed, ttlSeconds, expiresAt } = await headOf(run)
  const { name, url } = run.target
  if (flags.json) {
    await print(JSON.stringify({ stream: name, url, contentType, offset, closed, ttlSeconds, expiresAt }))
    return STREAM_EXIT.ok
  }
  const { bold } = coloursFor(process.stdout)
  const rows = [
    ['Stream', name],
    ['URL', url],
    ['Content type', contentType ?? 'unknown'],
    ['End', offset ?? 'unknown'],
    ['Closed', closed ? 'yes' : 'no'],
    ...(ttlSeconds === undefined ? [] : [['Removed after', `${ttlSeconds} s without use`]]),
    ...(expiresAt === undefined ? [] : [['Removed at', expiresAt]]),
  ]
  await print(rows.map(([head = '', value]) => `${bold(head.padEnd(14))}${value}`).join('\n'))
  return STREAM_EXIT.ok
}
