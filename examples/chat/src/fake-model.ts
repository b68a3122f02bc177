/** Stands in for a language model: the same question always has the same answer, token by token. */
import { setTimeout as wait } from 'node:timers/promises'

/** What a model is asked for. */
export interface ModelRequest {
  readonly question: string
  /** Tokens of the answer that exist already. A real model would be given them as the beginning of its answer. */
  readonly from: number
  /** Ends the answer: the iteration throws. */
  readonly signal: AbortSignal
}

/** Yields the tokens of an answer from the one numbered `from` on. */
export type Model = (request: ModelRequest) => AsyncIterable<string>

const STORY = `Every token that you see here was appended to a stream before it was shown. The page reads that stream
and remembers how far it got, so a reload shows what was there and goes on with the next token. The server, when it
starts again, reads how many tokens of the answer are stored and asks the model for the rest. Nothing is lost, because a
token is shown only after it was stored, and nothing comes twice, because whoever writes the rest numbers its messages
and whoever reads them says from where.`

/** The whole answer to a question. */
export function answerTo(question: string): readonly string[] {
  return `You said “${question}”. ${STORY.replaceAll('\n', ' ')}`.split(/(?<= )/)
}

/** A model that needs so many milliseconds for each token. */
export function fakeModel(tokenMs: number): Model {
  return async function* answer({ question, from, signal }) {
    for (const token of answerTo(question).slice(from)) {
      await wait(tokenMs, undefined, { signal })
      yield token
    }
  }
}
