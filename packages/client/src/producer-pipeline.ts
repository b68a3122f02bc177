/**
 * Carries sealed batches to the server: runs the state machine, makes its requests and waits, and keeps the payloads
 * until they are settled. It has no opinion of its own about what to send.
 */

import type { PreparedRequest } from './backoff.ts'
import {
  PRODUCER_EPOCH_HEADER,
  PRODUCER_ID_HEADER,
  PRODUCER_SEQ_HEADER,
  STREAM_CLOSED_HEADER,
  STREAM_OFFSET_HEADER,
} from './constants.ts'
import { linkSignals } from './linked-signal.ts'
import type { Offset } from './options.ts'
import { judgeNetworkFailure, judgeResponse } from './producer-answer.ts'
import { type SealedBatch, undeliveredIn } from './producer-batch.ts'
import {
  nextSeq,
  type ProducerAnswer,
  type ProducerEffect,
  type ProducerEvent,
  type ProducerFailure,
  type ProducerRules,
  type ProducerState,
  startProducer,
  stepProducer,
} from './producer-state.ts'
import { type Endpoint, prepare } from './request.ts'
import { retryDelay } from './retry-delay.ts'
import type { UndeliveredMessages } from './undelivered.ts'

/** What the pipeline needs to make requests. */
export interface PipelineOptions {
  readonly endpoint: Endpoint
  readonly producerId: string
  readonly rules: ProducerRules
  /** An attempt without an answer for so long counts as lost, in milliseconds. */
  readonly requestTimeoutMs: number
}

/** Told what becomes of the batches. */
export interface PipelineListener {
  /** Batches were stored or given up; the bytes they held are free. */
  settled(): void
  /** Once for each batch that is given up. */
  undelivered(ordinal: number, failure: ProducerFailure, messages: UndeliveredMessages): void
  /** A batch had been stored by somebody under this producer's id and epoch. */
  suspicious(): void
}

type Send = Extract<ProducerEffect, { kind: 'send' }>

/** The batches of one producer between sealing and settling, in order. */
export class ProducerPipeline {
  readonly #options: PipelineOptions
  readonly #listener: PipelineListener
  readonly #batches = new Map<number, SealedBatch>()
  readonly #abort = new AbortController()
  #waiting: { readonly through: number; readonly resolve: () => void }[] = []
  #state: ProducerState
  #backOff: ReturnType<typeof setTimeout> | undefined
  #bufferedBytes = 0
  #lastOffset: Offset | undefined
  #closeOffset: Offset = ''
  #duplicates = 0

  constructor(options: PipelineOptions, listener: PipelineListener) {
    this.#options = options
    this.#listener = listener
    this.#state = startProducer(options.rules)
  }

  get epoch(): number {
    return this.#state.epoch
  }

  get nextSeq(): number {
    return nextSeq(this.#state)
  }

  /** Batches that are neither stored nor given up. */
  get unsettledCount(): number {
    return this.#state.sealed - this.#state.settled
  }

  /** Ordinal that the next batch gets. */
  get nextOrdinal(): number {
    return this.#state.sealed
  }

  /** Bytes of the batches that are not settled. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Batches that the server had already. */
  get duplicates(): number {
    return this.#duplicates
  }

  /** The greatest offset that an answer to a new batch gave. */
  get lastOffset(): Offset | undefined {
    return this.#lastOffset
  }

  /** The offset in the answer to the closing batch; empty when there was none. */
  get closeOffset(): Offset {
    return this.#closeOffset
  }

  get isFailed(): boolean {
    return this.#state.phase.kind === 'failed'
  }

  send(batch: SealedBatch): void {
    this.#batches.set(this.#state.sealed, batch)
    this.#bufferedBytes += batch.sizeBytes
    this.#step({ kind: 'sealed' })
  }

  /** Resolves when all batches sent so far are stored or given up. */
  settle(): Promise<void> {
    const through = this.#state.sealed
    if (this.#state.settled >= through) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ through, resolve }))
  }

  /** Begins a new epoch. Everything has to be settled. */
  restart(): void {
    this.#step({ kind: 'restarted' })
  }

  /** Sends the last batch, which was given up, once more under its number. */
  resume(batch: SealedBatch): void {
    this.#batches.set(this.#state.sealed - 1, batch)
    this.#bufferedBytes += batch.sizeBytes
    this.#step({ kind: 'resumed' })
  }

  /** Gives up everything, and ends the requests under way. */
  abort(error: Error): void {
    clearTimeout(this.#backOff)
    this.#step({ kind: 'aborted', error })
    this.#abort.abort(error)
  }

  #step(event: ProducerEvent): void {
    const { state, effects } = stepProducer(this.#state, event)
    this.#state = state
    for (const effect of effects) this.#apply(effect)
    if (this.#waiting.some(({ through }) => through <= state.settled)) this.#wake(state.settled)
  }

  #apply(effect: ProducerEffect): void {
    switch (effect.kind) {
      case 'send':
        void this.#transmit(effect)
        return
      case 'acknowledged':
        this.#release(effect.from, effect.to, () => undefined)
        return
      case 'undelivered':
        this.#release(effect.from, effect.to, (batch, ordinal) => {
          const messages = undeliveredIn(batch, ordinal < effect.from + effect.mayBeStored)
          this.#listener.undelivered(ordinal, effect.failure, messages)
        })
        return
      case 'back-off':
        this.#wait(effect.failures, effect.retryAfterMs)
        return
      case 'duplicate':
        this.#duplicates++
        if (effect.isSuspicious) this.#listener.suspicious()
    }
  }

  #release(from: number, to: number, report: (batch: SealedBatch, ordinal: number) => void): void {
    for (let ordinal = from; ordinal < to; ordinal++) {
      const batch = this.#batches.get(ordinal)
      if (batch === undefined) continue
      this.#batches.delete(ordinal)
      this.#bufferedBytes -= batch.sizeBytes
      report(batch, ordinal)
    }
    this.#listener.settled()
  }

  #wake(settled: number): void {
    const ready = this.#waiting.filter(({ through }) => through <= settled)
    this.#waiting = this.#waiting.filter(({ through }) => through > settled)
    for (const { resolve } of ready) resolve()
  }

  #wait(failures: number, retryAfterMs: number): void {
    const { backoff } = this.#options.endpoint
    clearTimeout(this.#backOff)
    const delayMs = retryDelay(backoff, failures - 1, Math.random(), retryAfterMs)
    this.#backOff = setTimeout(() => this.#step({ kind: 'waited' }), Math.min(delayMs, LONGEST_WAIT_MS))
  }

  async #transmit(send: Send): Promise<void> {
    const batch = this.#batches.get(send.ordinal)
    if (batch === undefined) return
    const answer = this.#noted(await this.#request(batch, send))
    this.#step({ kind: 'answered', ordinal: send.ordinal, answer })
  }

  async #request(batch: SealedBatch, send: Send): Promise<ProducerAnswer> {
    const link = linkSignals(this.#abort.signal)
    const timer = setTimeout(() => link.abort(new Error(LATE)), this.#options.requestTimeoutMs)
    try {
      const request = await this.#prepare(batch, send, link.signal)
      return request instanceof Error
        ? { kind: 'refused', error: request }
        : await this.#exchange(request, batch, send.seq)
    } catch (error) {
      return judgeNetworkFailure(link.signal.aborted ? link.signal.reason : error)
    } finally {
      clearTimeout(timer)
      link.release()
    }
  }

  /** A header function that throws is the caller's failure, and not one to try again. */
  async #prepare(
    { body, contentType, closes }: SealedBatch,
    { epoch, seq }: Send,
    signal: AbortSignal,
  ): Promise<PreparedRequest | Error> {
    const { endpoint, producerId } = this.#options
    const headers = {
      'content-type': contentType,
      [PRODUCER_ID_HEADER]: producerId,
      [PRODUCER_EPOCH_HEADER]: String(epoch),
      [PRODUCER_SEQ_HEADER]: String(seq),
      [STREAM_CLOSED_HEADER]: closes ? 'true' : undefined,
    }
    try {
      return await prepare(endpoint, { method: 'POST', headers, body, signal })
    } catch (error) {
      return toError(error)
    }
  }

  async #exchange(
    { fetch, url, init }: PreparedRequest,
    batch: SealedBatch,
    seq: number,
  ): Promise<ProducerAnswer> {
    const response = await fetch(url, init)
    const isBareClose = batch.closes && batch.body === undefined
    const answer = await judgeResponse(response, {
      url,
      seq,
      isBareClose,
      mayClaim: this.#options.rules.autoClaim,
    })
    this.#noteOffset(answer, response.headers.get(STREAM_OFFSET_HEADER) ?? '', batch.closes)
    return answer
  }

  #noteOffset(answer: ProducerAnswer, offset: Offset, closes: boolean): void {
    const isSuccess = answer.kind === 'stored' || answer.kind === 'duplicate'
    if (closes && isSuccess) this.#closeOffset = offset
    if (answer.kind !== 'stored' || offset === '') return
    // Offsets are opaque, but their order is the stream's order.
    if (this.#lastOffset === undefined || offset > this.#lastOffset) this.#lastOffset = offset
  }

  /** Tells the caller's `onFailedAttempt`; what that throws ends the retries, as it does for other requests. */
  #noted(answer: ProducerAnswer): ProducerAnswer {
    if (answer.kind !== 'unavailable') return answer
    const { backoff, url } = this.#options.endpoint
    if (backoff.debug) console.debug(`An attempt at ${url} failed`, answer.error)
    try {
      backoff.onFailedAttempt?.()
      return answer
    } catch (error) {
      return { ...answer, error: toError(error), isLast: true }
    }
  }
}

const LATE = 'The request was not answered in time: see requestTimeoutMs'
const LONGEST_WAIT_MS = 2 ** 31 - 1

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
