/** Errors that name the messages which a producer could not deliver. */
import { SequenceGapError, StaleEpochError } from './errors.ts'
import type { ProducerFailure } from './producer-state.ts'

/** Which messages could not be delivered. Messages are numbered in the order of `append`, from 0. */
export interface UndeliveredMessages {
  /** Number of the first one. */
  readonly firstIndex: number
  /** Number of the last one. */
  readonly lastIndex: number
  /** How many there are; fewer than lie between first and last if some in between were delivered. */
  readonly count: number
  /**
   * How many of them, from the first on, may be stored all the same: they were sent, and nobody knows what became of
   * them. Read the stream before sending these again. The others are certainly not stored.
   */
  readonly mayBeStored: number
  /** The beginnings of the first few messages. */
  readonly preview: readonly string[]
}

const REPORTS = new WeakMap<Error, UndeliveredMessages>()

/**
 * The messages that an error of an `IdempotentProducer` is about: as passed to `onError`, those of one batch; as thrown
 * by `flush` and `close`, all since the last flush. `undefined` for other errors.
 */
export function undeliveredMessages(error: unknown): UndeliveredMessages | undefined {
  return error instanceof Error ? REPORTS.get(error) : undefined
}

/** The error for messages that could not be delivered: of the class that the failure asks for. */
export function undeliveredError(failure: ProducerFailure, messages: UndeliveredMessages): Error {
  switch (failure.kind) {
    case 'stale-epoch':
      return named(new StaleEpochError(failure.currentEpoch), messages)
    case 'sequence-gap':
      return named(new SequenceGapError(failure.expectedSeq, failure.receivedSeq), messages)
    case 'refused':
      return named(copyOf(failure.error), messages)
  }
}

/** Several reports in one, the earlier one first. */
export function joinReports(earlier: UndeliveredMessages, later: UndeliveredMessages): UndeliveredMessages {
  return {
    firstIndex: earlier.firstIndex,
    lastIndex: later.lastIndex,
    count: earlier.count + later.count,
    mayBeStored: earlier.mayBeStored + later.mayBeStored,
    preview: earlier.preview,
  }
}

function named(error: Error, messages: UndeliveredMessages): Error {
  error.message = `${error.message} (${describe(messages)})`
  REPORTS.set(error, messages)
  return error
}

function describe({ firstIndex, lastIndex, count, mayBeStored, preview }: UndeliveredMessages): string {
  if (count === 0) return 'the stream is not closed'
  const which =
    count === 1 ? `message ${firstIndex} was` : `${count} messages, ${firstIndex} to ${lastIndex}, were`
  const unsure = mayBeStored === 0 ? '' : `; ${mayBeStored} of them may be stored all the same`
  return `${which} not delivered${unsure}; first: ${preview[0] ?? ''}`
}

/** One failure is reported for several batches, each with a message of its own. */
function copyOf(error: Error): Error {
  // The message of a DOMException can't be changed, not even in a copy.
  if (!Object.hasOwn(error, 'message')) return new Error(error.message, { cause: error })
  const copy: Error = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(error))
  copy.cause = error
  return copy
}
