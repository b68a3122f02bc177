/** How many streams there may be, and how much they may hold together. */
import { ownBytes, type Rejection, type StreamState } from '@millrace/protocol'
import type { EngineLimits } from './limits.ts'
import type { StreamStorage, Usage } from './storage.ts'

/** Nothing is stored. */
export const NO_USAGE: Usage = { streams: 0, bytes: 0 }

/** Summaries asked for at a time while a store is counted. */
const PAGE = 10_000

/** Whether there is anything to count for. */
export function isLimited({ maxStreams, maxTotalBytes }: Partial<EngineLimits>): boolean {
  return [maxStreams, maxTotalBytes].some((limit) => limit !== undefined && Number.isFinite(limit))
}

/**
 * What a store holds. One that does not count is read entry by entry: it is worth that only where there is a limit to
 * keep.
 */
export async function countUsage(storage: StreamStorage): Promise<Usage> {
  const counted = storage.usage?.()
  if (counted !== undefined) return counted
  let usage = NO_USAGE
  for (let page = await storage.list('', undefined, PAGE); page.length > 0; ) {
    usage = page.reduce((sum, { ownBytes: bytes }) => plus(sum, { streams: 1, bytes }), usage)
    page = page.length < PAGE ? [] : await storage.list('', page.at(-1)?.path, PAGE)
  }
  return usage
}

/** What a change from one state to the next adds; negative for what it takes away. */
export function changeOf(before: StreamState | undefined, next: StreamState | undefined): Usage {
  const was = usageOf(before)
  const will = usageOf(next)
  return { streams: will.streams - was.streams, bytes: will.bytes - was.bytes }
}

/** The sum of two. */
export function plus(one: Usage, other: Usage): Usage {
  return { streams: one.streams + other.streams, bytes: one.bytes + other.bytes }
}

/** What was deleted and is kept for its forks does not count: whoever deleted it cannot make it smaller. */
function usageOf(state: StreamState | undefined): Usage {
  return state === undefined || state.softDeleted ? NO_USAGE : { streams: 1, bytes: ownBytes(state) }
}

/**
 * Keeps to the limits. What a commit adds counts from the moment it is decided, what it takes away once it is durable:
 * the sum is never below what is stored.
 */
export class Quota {
  readonly #limits: EngineLimits
  #used: Usage

  constructor(limits: EngineLimits, used: Usage) {
    this.#limits = limits
    this.#used = used
  }

  /** What is stored, and what is about to be. */
  get used(): Usage {
    return this.#used
  }

  /** Why a change may not happen; `undefined` if it may. */
  refusal({ streams, bytes }: Usage): Rejection | undefined {
    const { maxStreams, maxTotalBytes } = this.#limits
    if (streams > 0 && this.#used.streams + streams > maxStreams) {
      return noRoom(`This server holds at most ${maxStreams} streams: delete some first.`)
    }
    if (bytes > 0 && this.#used.bytes + bytes > maxTotalBytes) {
      return noRoom(`The streams of this server hold at most ${maxTotalBytes} bytes: delete some first.`)
    }
    return undefined
  }

  /** A change was decided. */
  decided(growth: Usage): void {
    this.#used = plus(this.#used, added(growth))
  }

  /** A change that was decided has become durable, or did not happen. */
  settled(growth: Usage, isDurable: boolean): void {
    const gain = added(growth)
    const change = isDurable ? growth : NO_USAGE
    this.#used = plus(this.#used, {
      streams: change.streams - gain.streams,
      bytes: change.bytes - gain.bytes,
    })
  }
}

function added({ streams, bytes }: Usage): Usage {
  return { streams: Math.max(0, streams), bytes: Math.max(0, bytes) }
}

function noRoom(detail: string): Rejection {
  return { kind: 'no-room', detail }
}
