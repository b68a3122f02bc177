/** The clients whose promise of exactly-once is tested: ours, and the published one as a control. */
import * as published from '@durable-streams/client'
import * as millrace from '@millrace/client'
import type { OpenWriter } from './exactly-once-run.ts'

const contentType = 'application/json'
/** Small, so that a run makes many requests. */
const batches = { maxBatchBytes: 2048, autoClaim: true }

/** `@millrace/client`, impatient enough for a test. */
export const openMillrace: OpenWriter = (url, producerId, onError) => {
  const backoffOptions = { maxDelay: 1000 }
  const stream = new millrace.DurableStream({ url, contentType, backoffOptions })
  const options = { ...batches, requestTimeoutMs: 1000, maxBufferedBytes: 262_144, onError }
  const producer = new millrace.IdempotentProducer(stream, producerId, options)
  return {
    append: (text) => void producer.append(text),
    room: () => producer.ready,
    flush: () => producer.flush(),
  }
}

/** `@durable-streams/client`. */
export const openPublished: OpenWriter = (url, producerId, onError) => {
  const stream = new published.DurableStream({ url, contentType })
  const producer = new published.IdempotentProducer(stream, producerId, { ...batches, onError })
  return {
    append: (text) => producer.append(text),
    room: () => Promise.resolve(),
    flush: () => producer.flush(),
  }
}
