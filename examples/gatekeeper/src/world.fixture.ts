/** The whole example for tests, with a real PostgreSQL, and users who talk to it. */
import { randomUUID } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { memoryStorage } from '@millrace/server'
import { type Gatekeeper, type PublicUrls, startGatekeeper } from './gatekeeper.ts'
import { type FollowOptions, followInbox } from './page/follow-inbox.ts'
import type { MintedToken } from './page/fresh-token.ts'
import type { Message } from './page/message.ts'
import { postgresPrograms, startPostgres, type ThrowawayPostgres } from './throwaway-postgres.ts'

// Where every test has to run, one that cannot is a failure.
export const hasPostgres: boolean =
  postgresPrograms() !== undefined || process.env.MILLRACE_REQUIRE_ALL === '1'
if (!hasPostgres) console.warn('The gatekeeper example is not tested: PostgreSQL is not installed')

/** Everything that runs. */
export interface World extends Gatekeeper {
  readonly postgres: ThrowawayPostgres
  /** What the app and the streams have logged, errors included. */
  readonly lines: readonly string[]
  readonly errors: readonly unknown[]
}

/** The caller closes it; PostgreSQL is the caller's too. */
export async function startWorld(
  postgres: ThrowawayPostgres,
  tokenSeconds: number,
  publicUrls?: PublicUrls,
): Promise<World> {
  const lines: string[] = []
  const errors: unknown[] = []
  const gatekeeper = await startGatekeeper({
    database: postgres.connection,
    storage: memoryStorage(),
    port: 0,
    streamsPort: 0,
    publicUrls,
    tokenSeconds,
    log: (line) => lines.push(line),
    onError: (error) => {
      errors.push(error)
      lines.push(error instanceof Error ? `${error.stack} ${error.cause}` : String(error))
    },
  })
  return { ...gatekeeper, postgres, lines, errors }
}

/** With every statement in the log of the database. */
export function startTalkativePostgres(): Promise<ThrowawayPostgres> {
  return startPostgres(['log_statement=all'])
}

/** Somebody with a browser. */
export interface Visitor {
  readonly id: string
  readonly name: string
  readonly password: string
  readonly inboxUrl: string
  /** The cookie of the session, as a browser sends it. */
  readonly cookie: string
  /** A request to the app, with the cookie. */
  ask(method: string, path: string, body?: object): Promise<Response>
  token(): Promise<string>
  send(to: string, text: string): Promise<void>
}

const PASSWORD = "a password with $1 and ' in it"

/** A request to the app as its page sends it. */
export function ask(
  world: Gatekeeper,
  method: string,
  path: string,
  body?: object,
  cookie = '',
): Promise<Response> {
  const headers = { cookie, origin: world.appUrl, ...(body && { 'content-type': 'application/json' }) }
  return fetch(`${world.appUrl}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
}

/** Signs somebody up, or logs somebody in. */
export async function enter(
  world: Gatekeeper,
  path: '/signup' | '/login',
  name: string = `user-${randomUUID()}`,
  password: string = `${PASSWORD} ${randomUUID()}`,
): Promise<Visitor> {
  const answer = await ask(world, 'POST', path, { name, password })
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${body}`)
  const { id, inboxUrl } = JSON.parse(body) as { readonly id: string; readonly inboxUrl: string }
  const [cookie = ''] = (answer.headers.get('set-cookie') ?? '').split(';')
  const visitor: Visitor = {
    id,
    name,
    password,
    inboxUrl,
    cookie,
    ask: (method, askedPath, sent) => ask(world, method, askedPath, sent, cookie),
    async token() {
      const minted = (await (await visitor.ask('POST', '/token')).json()) as MintedToken
      return minted.token
    },
    async send(to, text) {
      const sent = await visitor.ask('POST', '/messages', { id: randomUUID(), to, text })
      if (sent.status !== 202) throw new Error(`the message was answered ${sent.status}`)
    },
  }
  return visitor
}

/** An inbox that is followed. */
export interface Following {
  /** Texts in the order in which they were shown. */
  readonly texts: readonly string[]
  /** Tokens that requests to the streams carried, each once. */
  readonly tokens: ReadonlySet<string>
  /** Settles when following ends. */
  readonly ended: Promise<void>
  /** Resolves once something was shown or asked so that this holds; rejects if following ends before. */
  until(holds: () => boolean): Promise<void>
  stop(): Promise<void>
}

/** Follows as the page does. */
export function follow(world: Gatekeeper, visitor: Visitor, live: 'sse' | 'long-poll'): Following {
  const leaving = new AbortController()
  const texts: string[] = []
  const tokens = new Set<string>()
  const watchers = new Set<() => void>()
  const changed = (): void => {
    for (const watch of watchers) watch()
  }
  const options: FollowOptions = {
    appUrl: world.appUrl,
    inboxUrl: visitor.inboxUrl,
    live,
    signal: leaving.signal,
    show: (messages: readonly Message[]) => {
      texts.push(...messages.map(({ text }) => text))
      changed()
    },
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers)
      if (String(input).startsWith(world.appUrl)) headers.set('cookie', visitor.cookie)
      const token = headers.get('authorization')
      if (token !== null) tokens.add(token.replace('Bearer ', ''))
      changed()
      return fetch(input, { ...init, headers })
    },
  }
  const ended = followInbox(options)
  ended.catch(() => undefined)
  return {
    texts,
    tokens,
    ended,
    async until(holds) {
      const held = new Promise<void>((resolve) => {
        const watch = (): void => {
          if (holds()) resolve()
        }
        watchers.add(watch)
        watch()
      })
      const over = ended.then((): never => {
        throw new Error('following has ended')
      })
      await Promise.race([held, over])
    },
    async stop() {
      leaving.abort()
      await ended
    },
  }
}

/** The status of a request whose path is sent as it is written: `fetch` would resolve its dot segments. */
export function rawStatus(
  url: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname, port, method, path, headers, agent: false }, (response) => {
      response.resume()
      response.once('error', reject)
      response.once('end', () => resolve(response.statusCode ?? 0))
    })
    sent.once('error', reject)
    sent.end(method === 'POST' ? '{}' : undefined)
  })
}
