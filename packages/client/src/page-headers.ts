/** What the headers of an answer say about the position in the stream. */
import {
  STREAM_CLOSED_HEADER,
  STREAM_CURSOR_HEADER,
  STREAM_OFFSET_HEADER,
  STREAM_UP_TO_DATE_HEADER,
} from './constants.ts'
import type { Offset } from './options.ts'
import type { PageEvent } from './reader-state.ts'

/** Where a session is. */
export interface Position {
  readonly offset: Offset
  readonly cursor: string | undefined
  readonly upToDate: boolean
  readonly streamClosed: boolean
}

const NO_CONTENT_STATUS = 204

/** The event that an answer is; a 204 says by itself that there is nothing new. */
export function toPageEvent({ headers, status }: Response, hasData: boolean, hurried: boolean): PageEvent {
  return {
    type: 'page',
    offset: headers.get(STREAM_OFFSET_HEADER) ?? undefined,
    cursor: headers.get(STREAM_CURSOR_HEADER) ?? undefined,
    upToDate: headers.has(STREAM_UP_TO_DATE_HEADER) || status === NO_CONTENT_STATUS,
    closed: headers.get(STREAM_CLOSED_HEADER)?.trim().toLowerCase() === 'true',
    hasData,
    hurried,
  }
}

/** The position that the first answer gives, before anything of it was read. */
export function firstPosition(response: Response, requested: Offset): Position {
  const { offset, cursor, upToDate, closed } = toPageEvent(response, false, false)
  return { offset: offset ?? requested, cursor, upToDate: upToDate || closed, streamClosed: closed }
}

/** Whether an answer is an SSE stream. */
export function isEventStream({ headers }: Response): boolean {
  return /^\s*text\/event-stream\b/i.test(headers.get('content-type') ?? '')
}
