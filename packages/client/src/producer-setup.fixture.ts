/** An idempotent producer on a scripted network, for its tests. */
import { DurableStream } from './durable-stream.ts'
import type { DurableStreamOptions } from './handle-options.ts'
import { IdempotentProducer } from './idempotent-producer.ts'
import type { IdempotentProducerOptions } from './producer-options.ts'
import { answers, type Script, ScriptedFetch } from './write-script.fixture.ts'

/** The stream that the producer writes to. */
export const url = 'http://127.0.0.1:1/v1/stream/orders'
/** A batch for each message. */
export const each = { maxBatchBytes: 1 }

/** Options of the producer, and of the handle below it. */
export interface Setup extends IdempotentProducerOptions {
  readonly handle?: Partial<DurableStreamOptions>
}

/** A producer with everything around it. */
export interface ProducerSetup {
  readonly net: ScriptedFetch
  readonly stream: DurableStream
  readonly errors: Error[]
  readonly producer: IdempotentProducer
}

/** A producer on a scripted network, and the errors that it reports. */
export function setUp(script: Script, { handle = {}, ...options }: Setup = {}): ProducerSetup {
  const net = new ScriptedFetch(script)
  const backoffOptions = { initialDelay: 0, maxDelay: 0 }
  const stream = new DurableStream({
    url,
    contentType: 'application/json',
    fetch: net.fetch,
    backoffOptions,
    ...handle,
  })
  const errors: Error[] = []
  const onError = (error: Error): void => void errors.push(error)
  return { net, stream, errors, producer: new IdempotentProducer(stream, 'p', { onError, ...options }) }
}

/** What a promise was rejected with. */
export function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    (error) => error,
  )
}

/** Answers like a server that has seen nothing of this producer; `before` may answer in its place. */
export function server(before: Script = () => undefined): Script {
  let epoch = -1
  let last = -1
  return (request, index) => {
    const answer = before(request, index)
    if (answer !== undefined) return answer
    const [e = 0, s = 0] = ['producer-epoch', 'producer-seq'].map((name) => Number(request.headers.get(name)))
    if (e < epoch) return answers.fenced(epoch)
    if (e === epoch && s <= last) return answers.repeat(last)
    if (e === epoch && s > last + 1) return answers.gap(last + 1, s)
    if (e > epoch && s > 0) return epoch === -1 ? answers.gap(0, s) : answers.status(400)
    epoch = e
    last = s
    return answers.ok(`0_${String(index).padStart(4, '0')}`)
  }
}
