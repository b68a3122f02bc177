/** The `millrace restore` command: flags, what it prints, how it ends. */
import { resolve } from 'node:path'
import { DiskFull, DiskLocked, ForeignDirectory } from '@millrace/storage-file'
import type { Command } from 'commander'
import { type Manifest, ManifestUnusable } from './backup-manifest.ts'
import { coloursFor } from './colours.ts'
import { Progress, sizeText } from './progress.ts'
import { BackupDamaged, runRestore } from './restore.ts'

/** Nothing was begun: something has to be put right first. */
const EXIT_REFUSED = 1
/** The backup is not what was saved. */
const EXIT_DAMAGED = 2

interface RestoreFlags {
  readonly dataDir: string
  readonly json?: true
}

/** Adds the command to the program. */
export function addRestoreCommand(program: Command): void {
  program
    .command('restore')
    .description('make a data directory of a backup')
    .argument('<backup>', 'folder that millrace backup wrote')
    .option('--data-dir <path>', 'where to restore to: an empty or new directory', './data')
    .option('--json', 'print what was restored as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 restored; 1 refused, nothing was done; 2 the backup is damaged, nothing was restored.\n\nExample:\n  millrace restore /backups/streams --data-dir ./restored',
    )
    .action((backup: string, flags: RestoreFlags) => restore(backup, flags))
}

async function restore(backup: string, { dataDir, json }: RestoreFlags): Promise<void> {
  const progress = new Progress(process.stderr, 'Restore')
  try {
    const manifest = await runRestore(
      { backup, dataDir },
      { started: (bytes) => progress.start(bytes), copied: (bytes) => progress.add(bytes) },
    )
    progress.stop()
    console.log(json ? jsonOf(backup, dataDir, manifest) : textOf(dataDir, manifest))
  } catch (error) {
    progress.stop()
    const sentence = explain(error, dataDir)
    if (sentence === undefined) throw error
    console.error(coloursFor(process.stderr).red(sentence))
    const isDamaged = error instanceof BackupDamaged || error instanceof ManifestUnusable
    process.exitCode = isDamaged ? EXIT_DAMAGED : EXIT_REFUSED
  }
}

function explain(error: unknown, dataDir: string): string | undefined {
  if (error instanceof BackupDamaged || error instanceof ManifestUnusable) return error.message
  if (error instanceof ForeignDirectory || error instanceof DiskLocked) return error.message
  if (error instanceof DiskFull)
    return `There is no room for the streams in ${dataDir}. Nothing was restored.`
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const path = error instanceof Error && 'path' in error ? String(error.path) : dataDir
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return `This user may not use ${path}.`
  if (['ENOTDIR', 'EEXIST'].includes(code)) return `${path} is not a folder: choose another one.`
  return undefined
}

function textOf(dataDir: string, { streams, createdAt }: Manifest): string {
  const { count, bytes } = streams
  return [
    `Restored ${count} stream${count === 1 ? '' : 's'} with ${sizeText(bytes)}, as of ${createdAt}, in ${dataDir}`,
    `To serve them: millrace serve --data-dir ${dataDir}`,
  ].join('\n')
}

function jsonOf(backup: string, dataDir: string, { files, ...rest }: Manifest): string {
  return JSON.stringify({
    backup: resolve(backup),
    dataDir: resolve(dataDir),
    ...rest,
    files: files.length,
  })
}
