/** What a client is asked to do while it is timed: the same steps for ours and the published one, and without any client. */
import * as published from '@durable-streams/client'
import * as millrace from '@millrace/client'
import { EventCheck, problemOfPages } from './numbered-events.ts'

export const TASKS = ['produce', 'json', 'subscribeJson', 'body', 'subscribeBytes'] as const
export type Task = (typeof TASKS)[number]

/**
 * Who does it. `parse-text` is `JSON.parse` of pages that are strings already, `parse-bytes` decodes them first, `fetch`
 * also fetches them: the floors of reading into objects.
 */
export type Performer = 'millrace' | 'published' | 'parse-text' | 'parse-bytes' | 'fetch'

export interface TaskRequest {
  readonly task: Task
  readonly performer: Performer
  readonly url: string
  readonly events: number
}

/** Runs the timed part; what comes back says afterwards, outside the time, what was wrong. */
export type Timed = () => Promise<() => string | undefined>

const contentType = 'application/json'
const clients = { millrace, published }
/** Appends between two turns of the event loop: about a batch. */
const APPENDS_PER_TURN = 10_000

/** Not timed: makes the texts, or the pages that are parsed without a client. */
export async function prepareTask(request: TaskRequest, texts: readonly string[]): Promise<Timed> {
  const { task, performer, url, events } = request
  if (performer === 'millrace' || performer === 'published') {
    return task === 'produce' ? produce(performer, url, texts) : replay(performer, task, url, events)
  }
  const isKept = task === 'json'
  if (performer === 'fetch') return () => parsePages(fetchedPages(url), isKept, events)
  const pages: Uint8Array[] = []
  for await (const page of fetchedPages(url)) pages.push(page)
  if (performer === 'parse-bytes') return () => parsePages(pages, isKept, events)
  const decoder = new TextDecoder()
  const decoded = pages.map((page) => decoder.decode(page))
  return () => parsePages(decoded, isKept, events)
}

function produce(performer: 'millrace' | 'published', url: string, texts: readonly string[]): Timed {
  return async () => {
    const errors: unknown[] = []
    const onError = (error: unknown): void => {
      errors.push(error)
    }
    const producer = openProducer(performer, url, onError)
    for (let i = 0; i < texts.length; i += 1) {
      await producer.append(texts[i] ?? '')
      if (i % APPENDS_PER_TURN === APPENDS_PER_TURN - 1) await new Promise(setImmediate)
    }
    await producer.flush()
    return () => (errors.length === 0 ? undefined : `the producer reported: ${errors[0]}`)
  }
}

interface Producer {
  append(text: string): Promise<void> | undefined
  flush(): Promise<void>
}

function openProducer(
  performer: 'millrace' | 'published',
  url: string,
  onError: (error: Error) => void,
): Producer {
  if (performer === 'published') {
    const stream = new published.DurableStream({ url, contentType })
    const producer = new published.IdempotentProducer(stream, 'bench', { onError })
    return {
      append: (text): undefined => producer.append(text) as undefined,
      flush: () => producer.flush(),
    }
  }
  const producer = new millrace.IdempotentProducer(
    new millrace.DurableStream({ url, contentType }),
    'bench',
    { onError },
  )
  return {
    append: (text) => (producer.append(text) ? undefined : producer.ready),
    flush: () => producer.flush(),
  }
}

function replay(
  performer: 'millrace' | 'published',
  task: Exclude<Task, 'produce'>,
  url: string,
  events: number,
): Timed {
  return async () => {
    // With `live: false` the published client reads one page and no more, so both follow until they are up to date.
    const live = 'long-poll'
    const response = await clients[performer].stream({ url, live, offset: '-1' })
    const check = new EventCheck()
    if (task === 'json') {
      const items = await response.json<unknown>()
      return () => {
        check.add(items)
        return check.problem(events)
      }
    }
    if (task === 'body') {
      const bytes = await response.body()
      return () => problemOfPages(bytes, events)
    }
    const chunks: Uint8Array[] = []
    await new Promise<void>((resolve, reject) => {
      response.closed.then(() => reject(new Error('reading ended before it was up to date')), reject)
      if (task === 'subscribeJson') {
        response.subscribeJson<unknown>(({ items, upToDate }) => {
          check.add(items)
          if (upToDate) resolve()
        })
      } else {
        response.subscribeBytes(({ data, upToDate }) => {
          chunks.push(data)
          if (upToDate) resolve()
        })
      }
    })
    response.cancel()
    return () =>
      task === 'subscribeJson' ? check.problem(events) : problemOfPages(Buffer.concat(chunks), events)
  }
}

/** The pages of a stream by nothing but `fetch`. */
export async function* fetchedPages(url: string): AsyncGenerator<Uint8Array> {
  for (let offset = '-1'; ; ) {
    const answer = await fetch(`${url}?offset=${encodeURIComponent(offset)}`)
    if (answer.status !== 200) throw new Error(`reading ${url} was answered with ${answer.status}`)
    yield new Uint8Array(await answer.arrayBuffer())
    if (answer.headers.get('stream-up-to-date') === 'true') return
    offset = answer.headers.get('stream-next-offset') ?? offset
  }
}

async function parsePages(
  pages: AsyncIterable<Uint8Array> | Iterable<Uint8Array | string>,
  isKept: boolean,
  events: number,
): Promise<() => string | undefined> {
  const decoder = new TextDecoder()
  const check = new EventCheck()
  const kept: unknown[] = []
  for await (const page of pages) {
    const items = JSON.parse(typeof page === 'string' ? page : decoder.decode(page)) as unknown[]
    if (isKept) for (const item of items) kept.push(item)
    else check.add(items)
  }
  return () => {
    if (isKept) check.add(kept)
    return check.problem(events)
  }
}
