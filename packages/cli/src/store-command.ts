/** What commands that look at a data directory have in common: the directory, and how they say that they could not. */
import { DiskLocked, ForeignDirectory, HomeUnreadable, StoreMissing } from '@millrace/storage-file'
import type { Command } from 'commander'
import { coloursFor } from './colours.ts'

/** How such a command ends. */
export const EXIT_CODES: Readonly<Record<'sound' | 'damaged' | 'unchecked', number>> = {
  sound: 0,
  damaged: 1,
  unchecked: 2,
}

/** For `--help`. */
export const EXIT_HELP: string =
  '\nThe exit code is 0 if nothing is damaged, 1 if damage was found, and 2 if the directory could not be looked at:\n' +
  'it is missing, not Millrace’s, of another format, or in use by a server.'

/** Arguments that cannot work are no damage either. */
export function withExitCodes(command: Command): Command {
  return command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CODES.unchecked))
}

/** Runs a command, and says in a sentence why the directory could not be looked at. */
export async function lookAtStore(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command()
  } catch (error) {
    const isTold =
      error instanceof DiskLocked ||
      error instanceof ForeignDirectory ||
      error instanceof StoreMissing ||
      error instanceof HomeUnreadable ||
      isSystemError(error)
    if (!isTold) throw error
    console.error(coloursFor(process.stderr).red(sentenceOf(error)))
    process.exitCode = error instanceof HomeUnreadable ? EXIT_CODES.damaged : EXIT_CODES.unchecked
  }
}

/** The platform's words for missing rights do not say what would help. */
function sentenceOf(error: Error): string {
  if (!('code' in error && 'path' in error && (error.code === 'EACCES' || error.code === 'EPERM'))) {
    return error.message
  }
  return `This user may not read ${error.path}: run the command as the user who runs the server.`
}

/** Writes to stdout and resolves once there is room for more. */
export function writeOut(text: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.write(text)) resolve()
    else process.stdout.once('drain', resolve)
  })
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && 'syscall' in error
}
