/** The app: a server of its own with Millrace inside. Browsers read the streams, only the app writes them. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { DurableStreamError } from '@millrace/client'
import { createHandler, type MillraceHandler } from '@millrace/server'
import { fileStorage } from '@millrace/storage-file'
import { AnswerQueue } from './answer-queue.ts'
import { ChatLog } from './chat-log.ts'
import type { Model } from './fake-model.ts'
import { pageFile } from './page-files.ts'

/** What the app needs. */
export interface AppOptions {
  /** Folder of the streams; made if it is not there. */
  readonly dataDir: string
  /** Port on loopback; 0 picks a free one. */
  readonly port: number
  readonly model: Model
  readonly onError: (error: unknown) => void
}

/** A running app. */
export interface ChatApp {
  readonly url: string
  /** Stores what the models gave so far, ends all readers, and closes the store. */
  close(): Promise<void>
}

/** Opens the store, goes on with unfinished answers, and resolves when the page can be used. */
export async function startApp({ dataDir, port, model, onError }: AppOptions): Promise<ChatApp> {
  const streams = createHandler({ storage: await fileStorage({ dataDir }), onError })
  const log = new ChatLog((request) => streams.fetch(request))
  const answers = new AnswerQueue(log, model, onError)
  let isClosing = false
  const server = createServer((request, response) => {
    // A reader whose answer was ended would ask again on the connection that it kept, and be ended again.
    response.once('finish', () => {
      if (isClosing) request.socket.end()
    })
    answerRequest(request, response, { streams, log, answers }).catch((error: unknown) => {
      onError(error)
      if (!response.headersSent) answerText(response, 500, 'The app has failed: its log says why.')
      else response.destroy()
    })
  })
  try {
    await streams.ready
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
    await answers.resume()
  } catch (error) {
    await streams.close()
    throw error
  }
  return {
    url: `http://127.0.0.1:${portOf(server.address())}`,
    async close() {
      isClosing = true
      const closed = new Promise((resolve) => server.close(resolve))
      await answers.stop()
      streams.drain()
      await closed
      await streams.close()
    },
  }
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('The app listens on no port')
  return address.port
}

interface Parts {
  readonly streams: MillraceHandler
  readonly log: ChatLog
  readonly answers: AnswerQueue
}

const ID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const CHAT = new RegExp(`^/chats/(${ID})$`)
const QUESTION = new RegExp(`^/chats/(${ID})/questions/(${ID})$`)
const MOST_QUESTION_BYTES = 16 * 1024

async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  parts: Parts,
): Promise<void> {
  const { method = '', url = '/' } = request
  const isRead = method === 'GET' || method === 'HEAD'
  if (isRead && url.startsWith('/v1/stream/chats/')) return parts.streams.node(request, response)
  const [, chat] = CHAT.exec(url) ?? []
  if (method === 'PUT' && chat !== undefined) {
    await parts.log.begin(chat)
    return answerText(response, 200, 'The conversation is there.')
  }
  const [, askedChat, question] = QUESTION.exec(url) ?? []
  if (method === 'PUT' && askedChat !== undefined && question !== undefined) {
    return answerQuestion(request, response, parts, askedChat, question)
  }
  const file = isRead ? await pageFile(url) : undefined
  if (file === undefined) return answerText(response, 404, 'There is nothing here.')
  response.writeHead(200, { 'Content-Type': file.contentType, 'Cache-Control': 'no-cache' })
  response.end(file.content)
}

async function answerQuestion(
  request: IncomingMessage,
  response: ServerResponse,
  { log, answers }: Parts,
  chat: string,
  question: string,
): Promise<void> {
  const text = await readText(request)
  if (text === undefined) return answerText(response, 413, 'That question is too long.')
  if (text.trim() === '') return answerText(response, 400, 'Ask something.')
  try {
    await log.ask(chat, question, text)
  } catch (error) {
    if (!(error instanceof DurableStreamError) || error.code !== 'NOT_FOUND') throw error
    return answerText(response, 404, 'There is no such conversation: begin a new one.')
  }
  answers.wake(chat)
  answerText(response, 202, 'The question is stored, and will be answered.')
}

/** `undefined` when it is longer than a question may be. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size <= MOST_QUESTION_BYTES) chunks.push(chunk)
  }
  return size <= MOST_QUESTION_BYTES ? Buffer.concat(chunks).toString('utf8') : undefined
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' })
  response.end(text)
}
