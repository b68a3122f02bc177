/** The app's own HTTP server: its page, and its answers. The streams are on another server. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AppParts, ROUTES } from './app-routes.ts'
import { Refused, send } from './http-exchange.ts'
import { pageFile } from './page-files.ts'

/** What the server is told. */
export interface AppServerOptions {
  /** Origin that browsers see, such as `https://app.example.com`. */
  readonly origin: string
  /** A line for each answer: no query, no body, no header is in it. */
  readonly log: (line: string) => void
  readonly onError: (error: unknown) => void
}

/** Answers with these parts from now on. */
export function serveApp(server: Server, parts: AppParts, options: AppServerOptions): void {
  const { origin, log, onError } = options
  const isSecure = origin.startsWith('https:')
  server.on('request', (request, response) => {
    const { method = '', url = '/' } = request
    const [path = '/'] = url.split('?', 1)
    response.once('finish', () => log(`app: ${method} ${path} ${response.statusCode}`))
    answer(request, response, { path, origin, isSecure, parts }).catch((error: unknown) => {
      if (error instanceof Refused) {
        send(response, { status: error.status, body: { message: error.message } }, isSecure)
        return
      }
      onError(error)
      if (response.headersSent) response.destroy()
      else
        send(response, { status: 500, body: { message: 'The app has failed: its log says why.' } }, isSecure)
    })
  })
}

interface Exchange {
  readonly path: string
  readonly origin: string
  readonly isSecure: boolean
  readonly parts: AppParts
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { path, origin, isSecure, parts }: Exchange,
): Promise<void> {
  const { method = '' } = request
  // Cookies come with requests of other pages too, if those are on the same site: another port is enough.
  if (method !== 'GET' && (request.headers.origin ?? origin) !== origin) {
    throw new Refused(403, 'Another page cannot do this.')
  }
  const route = ROUTES.get(`${method} ${path}`)
  if (route !== undefined) return send(response, await route(request, parts), isSecure)
  const file = method === 'GET' ? await pageFile(path) : undefined
  if (file === undefined) throw new Refused(404, 'There is nothing here.')
  response.writeHead(200, { 'Content-Type': file.contentType, 'Cache-Control': 'no-cache' })
  response.end(file.content)
}
