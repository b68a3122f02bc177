/** The `millrace backup` command: flags, what it prints, how it ends. */
import { resolve } from 'node:path'
import { DiskFull, DiskLocked, HomeCorrupt } from '@millrace/storage-file'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { Refused, Unreachable } from './admin-client.ts'
import { type BackupSummary, runBackup, ServerGone } from './backup.ts'
import { NotABackup } from './backup-folder.ts'
import { ManifestUnusable } from './backup-manifest.ts'
import { coloursFor } from './colours.ts'
import { parseDurationMs } from './duration.ts'
import { Progress, sizeText } from './progress.ts'

/** Nothing was begun: something has to be put right first. */
const EXIT_REFUSED = 1
/** Broken off: what was copied is kept, and the same command goes on from there. */
const EXIT_BROKEN_OFF = 2

interface BackupFlags {
  readonly dataDir: string
  readonly retryFor: number
  readonly json?: true
}

/** Adds the command to the program. */
export function addBackupCommand(program: Command): void {
  program
    .command('backup')
    .description('copy all streams of a running server to a folder')
    .argument(
      '<target>',
      'folder of the backup; an earlier backup of the same server in it is brought up to date',
    )
    .option('--data-dir <path>', 'data directory of the running server', './data')
    .addOption(
      new Option('--retry-for <duration>', 'how long to wait for a server that goes away in the middle')
        .argParser(duration)
        .default(30_000, '30s'),
    )
    .option('--json', 'print what was saved as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 saved; 1 refused, nothing was done; 2 broken off, the same command goes on.\n\nExample:\n  millrace backup /backups/streams --data-dir ./data',
    )
    .action((target: string, flags: BackupFlags) => backUp(target, flags, program.version() ?? ''))
}

function duration(text: string): number {
  const ms = parseDurationMs(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('Write a duration such as 400ms, 30s or 5m.')
}

async function backUp(target: string, flags: BackupFlags, millraceVersion: string): Promise<void> {
  const progress = new Progress(process.stderr, 'Backup')
  const { dataDir, retryFor: retryForMs } = flags
  try {
    const summary = await runBackup(
      { target, dataDir, retryForMs, millraceVersion },
      {
        started: (bytes) => progress.start(bytes),
        copied: (bytes) => progress.add(bytes),
        note: (sentence) => progress.note(sentence),
      },
    )
    progress.stop()
    console.log(flags.json ? jsonOf(target, summary) : textOf(target, summary))
  } catch (error) {
    progress.stop()
    const failure = explain(error, target, dataDir)
    if (failure === undefined) throw error
    console.error(coloursFor(process.stderr).red(failure.sentence))
    process.exitCode = failure.exitCode
  }
}

interface Failure {
  readonly sentence: string
  readonly exitCode: number
}

function explain(error: unknown, target: string, dataDir: string): Failure | undefined {
  const refused = (sentence: string): Failure => ({ sentence, exitCode: EXIT_REFUSED })
  const brokenOff = (sentence: string): Failure => ({
    sentence: `${sentence} Run the same command again: it goes on from what has been copied.`,
    exitCode: EXIT_BROKEN_OFF,
  })
  if (error instanceof NotABackup || error instanceof ManifestUnusable) return refused(error.message)
  if (error instanceof DiskLocked) return refused(`Another backup is writing to ${target}: wait for its end.`)
  if (error instanceof DiskFull) return brokenOff(`There is no room left for ${target}: make some.`)
  if (error instanceof ServerGone) return brokenOff('The server has gone away.')
  if (error instanceof Unreachable) return refused(unreachable(error, dataDir))
  if (error instanceof Refused) return refusal(error, dataDir, refused, brokenOff)
  if (error instanceof HomeCorrupt) {
    return brokenOff(`The server\u2019s list of streams is damaged (${error.message}): look at its disk.`)
  }
  if (error instanceof Error && error.name === 'SocketPathTooLong') return refused(error.message)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return refused(`This user may not write to ${target}.`)
  if (['ENOTDIR', 'EEXIST'].includes(code)) return refused(`${target} is not a folder: choose another one.`)
  return undefined
}

function unreachable({ reason }: Unreachable, dataDir: string): string {
  if (reason === 'forbidden') {
    return `This user may not speak to the server of ${dataDir}: run the backup as the user who runs the server.`
  }
  return [
    `No server is running on ${dataDir}, or it offers no backup (it says so when it starts).`,
    'Name its directory with --data-dir, or start it. While none is running, a copy of the directory is a backup.',
  ].join(' ')
}

function refusal(
  { code, message }: Refused,
  dataDir: string,
  refused: (sentence: string) => Failure,
  brokenOff: (sentence: string) => Failure,
): Failure {
  if (code === 'BUSY') return refused('Another backup of this server is under way: wait for its end.')
  if (code === 'FULL') return refused(`The server has no room for a snapshot in ${dataDir}: make some.`)
  return brokenOff(`The server cannot be copied: ${message}`)
}

function textOf(target: string, { manifest, totalBytes, reusedBytes }: BackupSummary): string {
  const { count, bytes } = manifest.streams
  const reused = reusedBytes === 0 ? '' : `, ${sizeText(reusedBytes)} of them there already`
  return [
    `Saved ${count} stream${count === 1 ? '' : 's'} with ${sizeText(bytes)}, as of ${manifest.createdAt}, in ${target}`,
    `(${sizeText(totalBytes)} in ${manifest.files.length} files${reused}).`,
    `To have them elsewhere: millrace restore ${target} --data-dir <new directory>`,
  ].join('\n')
}

function jsonOf(target: string, { manifest, ...sizes }: BackupSummary): string {
  const { files, ...rest } = manifest
  return JSON.stringify({ target: resolve(target), ...rest, files: files.length, ...sizes })
}
