/** `millrace key create`: a new API key, for its user, and its entry, for the server. */
import { type CreatedApiKey, createApiKey } from '@millrace/server'
import type { Command } from 'commander'
import { coloursFor } from './colours.ts'
import { UsageError } from './usage-error.ts'

interface KeyFlags {
  readonly scope?: readonly string[]
  readonly json?: boolean
}

/** Adds `key create`. */
export function addKeyCommand(program: Command): void {
  program
    .command('key')
    .description('make API keys')
    .command('create')
    .description('make an API key; it is shown once, and the server needs its hash only')
    .argument('[id]', 'name of the key in files and rules; a random one unless given')
    .option(
      '--scope <scope>',
      'what it permits, such as read:orders/*; repeat for more',
      (scope: string, earlier: readonly string[] = []) => [...earlier, scope],
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nExamples:\n  millrace key create billing --scope 'create,append:invoices/*' --scope 'read:orders/**'",
    )
    .action(create)
}

function create(id: string | undefined, { scope = [], json }: KeyFlags): void {
  const { key, entry } = made(scope, id)
  if (json) {
    console.log(JSON.stringify({ key, entry }))
    return
  }
  const { bold } = coloursFor(process.stdout)
  console.log(
    [
      `The key, which is shown here only: ${bold(key)}`,
      `Its entry in the file of auth.api_keys_file: ${JSON.stringify(entry)}`,
    ].join('\n'),
  )
  if (scope.length === 0) console.error('It permits nothing by itself: add --scope, or a rule for its id.')
}

function made(scopes: readonly string[], id: string | undefined): CreatedApiKey {
  try {
    return createApiKey(scopes, id)
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message)
    throw error
  }
}
