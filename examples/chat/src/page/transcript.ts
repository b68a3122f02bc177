/** A conversation as people read it: questions, each with as much of its answer as there is. */
import type { ChatEvent } from './chat-events.ts'

/** One question and its answer. */
export interface Exchange {
  readonly id: string
  readonly question: string
  readonly answer: string
  /** Tokens that the answer is made of so far. */
  readonly tokens: number
  readonly isAnswered: boolean
}

/** In the order of the questions. */
export type Transcript = readonly Exchange[]

/** The conversation after one more event. */
export function applyEvent(transcript: Transcript, event: ChatEvent): Transcript {
  if (event.kind === 'question') {
    const { id, text } = event
    return [...transcript, { id, question: text, answer: '', tokens: 0, isAnswered: false }]
  }
  return transcript.map((exchange) => {
    if (exchange.id !== event.question) return exchange
    return event.kind === 'answered'
      ? { ...exchange, isAnswered: true }
      : { ...exchange, answer: exchange.answer + event.text, tokens: exchange.tokens + 1 }
  })
}
