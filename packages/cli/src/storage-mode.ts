/** Storage modes by name: what each promises, and which ones this build can open. */
import { memoryStorage, type StreamStorage } from '@millrace/server'

/** A mode that can be opened. */
export interface OpenMode {
  readonly name: string
  /** What the mode promises, as a sentence for the person who starts the server. */
  readonly promise: string
  open(): StreamStorage
}

/** Modes a user may ask for, aliases included. */
export const STORAGE_MODES: readonly string[] = ['memory', 'file-fast', 'file-durable', 'acid']

/** A mode, or a sentence that says why it cannot be had. */
export function findMode(name: string): OpenMode | { readonly refusal: string } {
  if (name === 'memory') {
    return {
      name,
      promise: 'in memory only: everything is lost when this process ends',
      open: () => memoryStorage(),
    }
  }
  if (STORAGE_MODES.includes(name)) {
    return { refusal: `Storage mode ${name} is not part of this version yet. Start with --storage memory.` }
  }
  return { refusal: `There is no storage mode ${name}. Choose one of: ${STORAGE_MODES.join(', ')}.` }
}
