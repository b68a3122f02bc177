/** Puts the data events of an SSE stream and the control event that follows them together. Pure. */
import { decodeBase64 } from './base64.ts'
import { SSE_CLOSED_FIELD, SSE_CURSOR_FIELD, SSE_OFFSET_FIELD, SSE_UP_TO_DATE_FIELD } from './constants.ts'
import { joinBytes, type PageContent, parseError } from './page-content.ts'
import type { ControlEvent } from './reader-state.ts'
import type { SseEvent } from './sse-parser.ts'

/** The data since the control event before, and what the control event says. */
export interface SseBatch {
  readonly content: PageContent
  readonly control: ControlEvent
}

/** Data that no control event follows is never handed over: the next connection brings it again. */
export class SseBatcher {
  readonly #base64: boolean
  #payloads: string[] = []

  /** `base64` as the connection's own header says. */
  constructor(base64: boolean) {
    this.#base64 = base64
  }

  /** The batch that an event completes. Throws `PARSE_ERROR` when a control event or base64 can't be read. */
  take({ name, data }: SseEvent): SseBatch | undefined {
    if (name === 'data') this.#payloads.push(data)
    if (name !== 'control') return undefined
    const control = parseControl(data)
    const payloads = this.#payloads
    this.#payloads = []
    const content: PageContent = this.#base64
      ? { kind: 'bytes', bytes: joinBytes(payloads.map(decodeBase64)) }
      : { kind: 'payloads', payloads }
    return { content, control }
  }
}

function parseControl(data: string): ControlEvent {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch {
    throw parseError('The server sent a control event that is not JSON', data)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw parseError('The server sent a control event that is not an object', data)
  }
  const fields = new Map<string, unknown>(Object.entries(value))
  const upToDate = fields.get(SSE_UP_TO_DATE_FIELD)
  return {
    type: 'control',
    offset: text(fields.get(SSE_OFFSET_FIELD)),
    cursor: text(fields.get(SSE_CURSOR_FIELD)),
    upToDate: typeof upToDate === 'boolean' ? upToDate : undefined,
    closed: fields.get(SSE_CLOSED_FIELD) === true,
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
