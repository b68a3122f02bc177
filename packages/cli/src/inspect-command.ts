/** `millrace inspect`: what is in a data directory? */
import { inspectStore, type StoreOverview, type StreamRow } from '@millrace/storage-file'
import { type Command, InvalidArgumentError } from 'commander'
import { byteText } from './byte-text.ts'
import { coloursFor } from './colours.ts'
import { EXIT_CODES, EXIT_HELP, lookAtStore, withExitCodes, writeOut } from './store-command.ts'
import { textTable } from './text-table.ts'

interface InspectFlags {
  readonly dataDir: string
  readonly prefix: string
  readonly limit?: number
  readonly messages?: boolean
  readonly json?: boolean
}

/** Streams in a table, unless `--limit` says otherwise. */
const TABLE_ROWS = 100

const JSON_HELP = `
With --json each line is an object with a kind: "stream" for each stream in order of the paths, then "block-file" and
"segment" for each file, and "totals" in the last line.`

/** Adds the command. */
export function addInspectCommand(program: Command): void {
  withExitCodes(program.command('inspect'))
    .description('list what is in a data directory, and change nothing')
    .option('--data-dir <path>', 'directory to look at; no server may be running on it', './data')
    .option('--prefix <path>', 'only streams whose path starts with this', '')
    .option(
      '--limit <number>',
      `list so many streams at most (default: ${TABLE_ROWS}, with --json all)`,
      count,
    )
    .option('--messages', 'count messages as well, which reads every block')
    .option('--json', 'print one JSON object a line')
    .addHelpText(
      'after',
      `${JSON_HELP}\n${EXIT_HELP}\n\nExamples:\n  millrace inspect --prefix orders/\n  millrace inspect --json --limit 0`,
    )
    .action((flags: InspectFlags) =>
      lookAtStore(() => (flags.json ? inspectAsJson(flags) : inspectAsTable(flags))),
    )
}

function count(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number.')
}

async function inspectAsJson({ dataDir, prefix, limit, messages = false }: InspectFlags): Promise<number> {
  const lines = (objects: readonly object[]): Promise<void> =>
    writeOut(objects.map((object) => `${JSON.stringify(object)}\n`).join(''))
  const overview = await inspectStore({
    dataDir,
    prefix,
    ...(limit !== undefined && { limit }),
    countMessages: messages,
    onStreams: (rows) => lines(rows.map((row) => ({ kind: 'stream', ...row }))),
  })
  const { blockFiles, journal, ...totals } = overview
  const { segments, ...position } = journal
  await lines([
    ...blockFiles.map((row) => ({ kind: 'block-file', ...row })),
    ...segments.map((row) => ({ kind: 'segment', ...row })),
    { kind: 'totals', ...totals, ...sizesOf(overview), ...position },
  ])
  return exitCode(overview)
}

async function inspectAsTable({
  dataDir,
  prefix,
  limit = TABLE_ROWS,
  messages = false,
}: InspectFlags): Promise<number> {
  const rows: StreamRow[] = []
  const overview = await inspectStore({
    dataDir,
    prefix,
    limit,
    countMessages: messages,
    onStreams: async (more) => void rows.push(...more),
  })
  const { bold } = coloursFor(process.stdout)
  const tables = [streamTable(rows, messages), fileTable(overview), segmentTable(overview)].filter(
    (table) => table.length > 1,
  )
  const texts = tables.map(([head = '', ...lines]) => [bold(head), ...lines].join('\n'))
  await writeOut(`${[...texts, totalsText(overview, rows.length)].join('\n\n')}\n`)
  if (overview.errors > 0) console.error(coloursFor(process.stderr).red(DAMAGED))
  return exitCode(overview)
}

const DAMAGED = 'Some of it is damaged and may be left out here: run millrace verify to see what.'

function exitCode({ errors }: StoreOverview): number {
  return errors === 0 ? EXIT_CODES.sound : EXIT_CODES.damaged
}

function streamTable(rows: readonly StreamRow[], withMessages: boolean): readonly string[] {
  const heads = [
    'Stream',
    'Content type',
    'Tail',
    ...(withMessages ? ['Messages'] : []),
    'Producers',
    'Remarks',
  ]
  const cells = rows.map((row) => [
    row.path,
    row.contentType,
    String(row.tailBytes),
    ...(withMessages ? [row.messages === undefined ? '?' : String(row.messages)] : []),
    String(row.producers),
    remarks(row).join(', '),
  ])
  return textTable(heads, cells)
}

function remarks({
  closed,
  deleted,
  forkedFrom,
  forkedAt,
  forks,
  base,
  dueAt,
}: StreamRow): readonly string[] {
  return [
    ...(closed ? ['closed'] : []),
    ...(deleted ? ['deleted, kept for its forks'] : []),
    ...(forkedFrom === undefined ? [] : [`fork of ${forkedFrom} at ${forkedAt}`]),
    ...(forks === 0 ? [] : [`${forks} ${forks === 1 ? 'fork' : 'forks'}`]),
    ...(base === 0 ? [] : [`begins at ${base}`]),
    ...(dueAt === undefined ? [] : [`expires ${dueAt}`]),
  ]
}

function fileTable({ blockFiles }: StoreOverview): readonly string[] {
  const cells = blockFiles.map(({ file, sizeBytes, liveBytes }) => [
    file,
    byteText(sizeBytes),
    `${Math.round((100 * liveBytes) / Math.max(1, sizeBytes))} %`,
  ])
  return textTable(['Block file', 'Size', 'In use'], cells)
}

function segmentTable({ journal }: StoreOverview): readonly string[] {
  const cells = journal.segments.map(({ file, sizeBytes, records, recordBytes, pendingBytes }) => [
    file,
    byteText(sizeBytes),
    String(records),
    byteText(recordBytes),
    byteText(pendingBytes),
  ])
  return textTable(['Journal segment', 'Size', 'Records', 'Their size', 'Not in blocks yet'], cells)
}

function sizesOf({ blockFiles, journal }: StoreOverview): Readonly<Record<string, number>> {
  const sum = (sizes: readonly { readonly sizeBytes: number }[]): number =>
    sizes.reduce((size, { sizeBytes }) => size + sizeBytes, 0)
  return { blockFileBytes: sum(blockFiles), journalBytes: sum(journal.segments) }
}

function totalsText(overview: StoreOverview, listed: number): string {
  const { streams, streamBytes, journal } = overview
  const { blockFileBytes = 0, journalBytes = 0 } = sizesOf(overview)
  const unlisted = streams - listed
  const more = unlisted > 0 ? ` (${unlisted} not listed: use --limit or --prefix)` : ''
  return [
    `${streams} streams with ${byteText(streamBytes)}${more}; ${byteText(blockFileBytes)} of block files, ${byteText(journalBytes)} of journal.`,
    `${journal.lastSequence} commits so far, ${journal.appliedSequence} of them in blocks; the next start replays ${byteText(journal.pendingBytes)}.`,
  ].join('\n')
}
