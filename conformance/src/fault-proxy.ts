/** An HTTP proxy on loopback that is a bad network: it loses requests and answers, doubles, delays and turns away. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What can happen to a request; `none` is plain forwarding. */
export const FAULTS = [
  'none',
  'delay',
  'request-lost',
  'answer-lost',
  'reset-midway',
  'no-answer',
  'twice',
  'turned-away',
  'gateway-failed',
] as const

export type Fault = (typeof FAULTS)[number]

/** A running proxy. */
export interface FaultProxy {
  /** Where clients connect; stays the same whatever happens behind it. */
  readonly url: string
  /** How often each fault happened. */
  readonly counts: Readonly<Record<Fault, number>>
  /** Requests that have come in. */
  readonly requests: number
  close(): Promise<void>
}

/** What the proxy does. */
export interface FaultPlan {
  /** Origin of the server; asked for each request, because a server that was killed comes back elsewhere. */
  readonly target: () => string
  readonly chooseFault: () => Fault
  /** In milliseconds. */
  readonly delayMs: () => number
  /** Told after each request that has come in. */
  readonly onRequest: (count: number) => void
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** Listens on a free port of loopback. */
export async function startFaultProxy(plan: FaultPlan): Promise<FaultProxy> {
  const counts: Record<Fault, number> = {
    none: 0,
    delay: 0,
    'request-lost': 0,
    'answer-lost': 0,
    'reset-midway': 0,
    'no-answer': 0,
    twice: 0,
    'turned-away': 0,
    'gateway-failed': 0,
  }
  let requests = 0
  const server = createServer((incoming, outgoing) => {
    const fault = plan.chooseFault()
    counts[fault]++
    plan.onRequest(++requests)
    handle(plan, fault, incoming, outgoing).catch(() => {
      // The server is down or was killed meanwhile: the client loses its connection, as it would without a proxy.
      incoming.socket.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    counts,
    get requests() {
      return requests
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function handle(
  plan: FaultPlan,
  fault: Fault,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const body = await readAll(incoming)
  if (fault === 'request-lost') {
    incoming.socket.destroy()
    return
  }
  if (fault === 'turned-away') {
    outgoing.writeHead(503, { 'retry-after': '0' }).end()
    return
  }
  if (fault === 'delay') await new Promise((resolve) => setTimeout(resolve, plan.delayMs()))
  const forwarded = forward(plan.target(), incoming, body)
  if (fault === 'reset-midway') incoming.socket.destroy()
  const answer = await forwarded
  if (fault === 'twice') await forward(plan.target(), incoming, body)
  if (fault === 'answer-lost') incoming.socket.destroy()
  else if (fault === 'gateway-failed') outgoing.writeHead(502).end()
  else if (fault !== 'no-answer' && fault !== 'reset-midway') {
    outgoing.writeHead(answer.status, answer.headers).end(answer.body)
  }
}

function forward(target: string, incoming: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method, url = '/', headers } = incoming
    const { host, connection, 'transfer-encoding': encoding, ...kept } = headers
    const outgoing = request(new URL(url, target), {
      method,
      headers: { ...kept, 'content-length': String(body.length) },
      agent: false,
    })
    outgoing.once('error', reject)
    outgoing.once('response', (response) => {
      readAll(response).then((answer) => {
        const { 'transfer-encoding': chunked, connection: kind, ...plain } = response.headers
        resolve({ status: response.statusCode ?? 502, headers: plain, body: answer })
      }, reject)
    })
    outgoing.end(body)
  })
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}
