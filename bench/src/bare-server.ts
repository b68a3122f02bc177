/**
 * The empty handler of the node:http stack: what every server on that stack pays before it does any work
 * of its own. Reads each body to its end, keeps nothing. It also sends what arrives on a path to the event
 * streams that are open on it, as the plainest possible fan-out.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { announce, stopWithParent } from './child-server.ts'
import { SMALL_BODY } from './small-read-scenario.ts'

const EVENT_STREAM_HEAD = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' }
const READ_HEAD = {
  'Content-Type': 'application/octet-stream',
  'Content-Length': SMALL_BODY.length,
  'Stream-Up-To-Date': 'true',
}

const listeners = new Map<string, Set<ServerResponse>>()

function openEventStream(path: string, response: ServerResponse): void {
  const open = listeners.get(path) ?? new Set()
  listeners.set(path, open)
  open.add(response)
  response.on('close', () => {
    open.delete(response)
    if (open.size === 0) listeners.delete(path)
  })
  response.writeHead(200, EVENT_STREAM_HEAD)
  response.write(':\n\n')
}

function broadcast(path: string, body: string): void {
  const frame = `event: data\ndata:${body}\n\nevent: control\ndata:{"streamNextOffset":"0"}\n\n`
  for (const response of listeners.get(path) ?? []) response.write(frame)
}

function receive(path: string, request: IncomingMessage, response: ServerResponse): void {
  let body = ''
  const relayed = listeners.has(path)
  request.on('data', (bytes: Buffer) => {
    if (relayed) body += bytes.toString('latin1')
  })
  request.on('end', () => {
    response.writeHead(request.method === 'PUT' ? 201 : 204)
    response.end()
    if (relayed) broadcast(path, body)
  })
}

const server = createServer((request, response) => {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  if (request.method !== 'GET') {
    receive(path, request, response)
  } else if (query.includes('live=sse')) {
    openEventStream(path, response)
  } else {
    response.writeHead(200, READ_HEAD)
    response.end(SMALL_BODY)
  }
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) announce(`http://127.0.0.1:${address.port}`)
})
stopWithParent()
