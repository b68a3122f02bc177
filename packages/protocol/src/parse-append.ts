/** POST: from headers and body to an `AppendCommand` (sections 2.3, 5.1 steps 3 to 7). */
import type { AppendCommand, Payload } from './command.ts'
import { invalidJsonDetail } from './decide-create.ts'
import { isTrue, parseDecimal } from './header-grammar.ts'
import { encodeJsonMessages } from './json-messages.ts'
import { PROTOCOL_LIMITS } from './limits.ts'
import { parseMediaType } from './media-type.ts'
import type { ProducerStamp } from './producer-table.ts'
import { badRequest, type Rejection } from './rejection.ts'
import type { StreamPath } from './stream-path.ts'
import type { HeaderLookup } from './wire.ts'

/** A command, or the first thing wrong with the request. */
export type ParsedAppend = { readonly command: AppendCommand } | { readonly rejection: Rejection }

/** Reads one POST. A JSON body is validated and framed here; what is wrong with it is judged in its turn. */
export function parseAppend(path: StreamPath, header: HeaderLookup, body: Uint8Array): ParsedAppend {
  const producer = parseProducer(header)
  if (producer !== undefined && 'kind' in producer) return { rejection: producer }
  const streamSeq = header('stream-seq')
  if (streamSeq !== undefined && (streamSeq === '' || streamSeq.length > PROTOCOL_LIMITS.maxStreamSeqBytes)) {
    const limit = PROTOCOL_LIMITS.maxStreamSeqBytes
    return { rejection: badRequest(`Stream-Seq must be 1 to ${limit} bytes long.`) }
  }
  const closes = isTrue(header('stream-closed'))
  if (body.length === 0) {
    if (!closes) return { rejection: { kind: 'empty-body' } }
    const payload: Payload = { kind: 'none' }
    return { command: { kind: 'append', path, mediaType: undefined, payload, closes, producer, streamSeq } }
  }
  const contentType = header('content-type')
  const mediaType = contentType === undefined ? undefined : parseMediaType(contentType)
  if (mediaType === undefined) return { rejection: refuseContentType(contentType) }
  const payload = toPayload(body, mediaType)
  return { command: { kind: 'append', path, mediaType, payload, closes, producer, streamSeq } }
}

/** The answer to a `Content-Type` that is missing or does not parse. */
export function refuseContentType(contentType: string | undefined): Rejection {
  if (contentType === undefined) {
    return badRequest('A request with a body needs a Content-Type header that matches the stream.')
  }
  return badRequest(
    `Content-Type must be a media type such as application/json, at most ${PROTOCOL_LIMITS.maxContentTypeBytes} bytes long.`,
  )
}

function toPayload(body: Uint8Array, mediaType: string): Payload {
  if (mediaType !== 'application/json') return { kind: 'bytes', bytes: body, messages: 1 }
  const json = encodeJsonMessages(body, PROTOCOL_LIMITS.maxJsonDepth)
  switch (json.kind) {
    case 'messages':
      return { kind: 'bytes', bytes: json.bytes, messages: json.count }
    case 'empty-array':
      return { kind: 'empty-array' }
    case 'invalid':
      return { kind: 'invalid-json', detail: invalidJsonDetail(json) }
  }
}

function parseProducer(header: HeaderLookup): ProducerStamp | Rejection | undefined {
  const id = header('producer-id')
  const epochText = header('producer-epoch')
  const seqText = header('producer-seq')
  if (id === undefined && epochText === undefined && seqText === undefined) return undefined
  if (id === undefined || epochText === undefined || seqText === undefined) {
    return badRequest('Producer-Id, Producer-Epoch and Producer-Seq go together: send all three or none.')
  }
  if (id === '' || id.length > PROTOCOL_LIMITS.maxProducerIdBytes) {
    return badRequest(`Producer-Id must be 1 to ${PROTOCOL_LIMITS.maxProducerIdBytes} bytes long.`)
  }
  const epoch = parseDecimal(epochText)
  const seq = parseDecimal(seqText)
  if (epoch === undefined || seq === undefined) {
    return badRequest('Producer-Epoch and Producer-Seq must be whole numbers from 0 to 9007199254740991.')
  }
  return { id, epoch, seq }
}
