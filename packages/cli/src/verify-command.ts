/** `millrace verify`: is everything in a data directory what was written? */
import {
  type CheckCounts,
  type Finding,
  type FindingPlace,
  type VerifyReport,
  verifyStore,
} from '@millrace/storage-file'
import type { Command } from 'commander'
import { byteText } from './byte-text.ts'
import { coloursFor } from './colours.ts'
import { EXIT_CODES, EXIT_HELP, lookAtStore, withExitCodes, writeOut } from './store-command.ts'

interface VerifyFlags {
  readonly dataDir: string
  readonly json?: boolean
}

/** Adds the command. */
export function addVerifyCommand(program: Command): void {
  withExitCodes(program.command('verify'))
    .description('check every byte of a data directory, and change none')
    .option('--data-dir <path>', 'directory to check; no server may be running on it', './data')
    .option('--json', 'print one JSON object: isSound, errors, notices, findings, checked')
    .addHelpText(
      'after',
      `${EXIT_HELP}\n\nExamples:\n  millrace verify\n  millrace verify --data-dir /srv/streams --json`,
    )
    .action((flags: VerifyFlags) => lookAtStore(() => verify(flags)))
}

async function verify({ dataDir, json = false }: VerifyFlags): Promise<number> {
  const progress = showProgress(process.stderr)
  const report = await verifyStore({ dataDir, onProgress: progress.show }).finally(progress.clear)
  await writeOut(json ? `${JSON.stringify(report, undefined, 2)}\n` : textOf(report, dataDir))
  return report.isSound ? EXIT_CODES.sound : EXIT_CODES.damaged
}

interface Progress {
  show(doneBytes: number, totalBytes: number): void
  clear(): void
}

/** One line that is written again and again; nothing where it would fill a log. */
function showProgress(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { show: () => undefined, clear: () => undefined }
  return {
    show: (doneBytes, totalBytes) => {
      stream.write(`\r\x1b[KChecked ${byteText(doneBytes)} of ${byteText(totalBytes)}`)
    },
    clear: () => void stream.write('\r\x1b[K'),
  }
}

function textOf(report: VerifyReport, dataDir: string): string {
  const { bold, green, red } = coloursFor(process.stdout)
  const { errors, notices, findings, isSound } = report
  const listed = findings.map(findingText)
  const left = errors + notices - findings.length
  if (left > 0) listed.push(`... and ${left} more.\n`)
  const verdict = isSound
    ? green(`${dataDir} is sound.`)
    : red(`${dataDir} is damaged: ${errors} ${errors === 1 ? 'error' : 'errors'}.`)
  return [...listed, bold(verdict), countsText(report.checked), ''].join('\n')
}

function findingText({ severity, where, what, whatToDo }: Finding): string {
  const { red, yellow, dim } = coloursFor(process.stdout)
  const mark = severity === 'error' ? red('error ') : yellow('notice')
  const advice = whatToDo === undefined ? '' : `\n       ${dim(whatToDo)}`
  return `${mark} ${placeText(where)}\n       ${what}${advice}\n`
}

function placeText(where: FindingPlace): string {
  const range =
    where.from === undefined
      ? ''
      : `, ${where.kind === 'file' ? 'bytes' : 'positions'} ${where.from} to ${where.to}`
  return where.kind === 'file' ? `${where.file}${range}` : `stream ${where.path}${range}`
}

function countsText(checked: CheckCounts): string {
  const { streams, blocks, blockBytes, blockFiles, journalRecords, journalSegments, homeEntries } = checked
  return [
    `Checked ${streams} streams and ${homeEntries} entries of the home,`,
    `${blocks} blocks with ${byteText(blockBytes)} in ${blockFiles} files,`,
    `${journalRecords} records in ${journalSegments} journal segments.`,
  ].join(' ')
}
