/** All commands that work on one stream of a running server. */
import type { Command } from 'commander'
import { addAppendCommand } from './append-command.ts'
import { addCloseCommands } from './close-command.ts'
import { addCreateCommands } from './create-command.ts'
import { addHeadCommand } from './head-command.ts'
import { addReadCommands } from './read-command.ts'

/** Adds them to the program. */
export function addStreamCommands(program: Command): void {
  addCreateCommands(program)
  addAppendCommand(program)
  addReadCommands(program)
  addHeadCommand(program)
  addCloseCommands(program)
}
