/** What a handler can be told. Everything has a default that is safe on a developer's machine. */
import type { EngineLimits, StreamStorage } from '@millrace/engine'
import { PROTOCOL_LIMITS } from '@millrace/protocol'
import type { Authentication } from './auth-options.ts'
import { BodyRoom } from './body-room.ts'
import { ForwardedHeaders, type ProxyOptions } from './forwarded.ts'

/** Options of `createHandler`. */
export interface HandlerOptions {
  /** Where streams are kept; a promise while the store is still opening: until then answers are 503. */
  readonly storage: StreamStorage | Promise<StreamStorage>
  /** URL path of the stream root, without a trailing slash. `/v1/stream` unless given. */
  readonly streamBasePath?: string
  /** How long a long-poll waits for data. 30,000 unless given. */
  readonly longPollTimeoutMs?: number
  /** How long an SSE response lasts before the client has to reconnect; 0 for ever. 60,000 unless given. */
  readonly sseReconnectIntervalMs?: number
  /** How often a quiet SSE response carries a comment; 0 never. 20,000 unless given. */
  readonly sseHeartbeatIntervalMs?: number
  /** Largest request body. 16 MiB unless given. */
  readonly maxBodyBytes?: number
  /**
   * Who is let in and what they may do: tokens, API keys or a trusted proxy, with permissions by path and operation.
   * `none` unless given: everybody who reaches the server may do everything.
   */
  readonly authentication?: Authentication
  /** Origins of web pages that may use this server, besides loopback ones; `*` admits every page. */
  readonly allowedOrigins?: '*' | readonly string[]
  /** Host names this server answers to, besides loopback ones; `*` answers to every name. */
  readonly allowedHosts?: '*' | readonly string[]
  /** Bytes of request bodies that may be coming in at a time, all together. 512 MiB unless given. */
  readonly maxReceivingBytes?: number
  /** Bytes of the path of a new stream, as it is stored; at most 1024, and that unless given. */
  readonly maxStreamNameBytes?: number
  /** Segments of the path of a new stream; no limit unless given. */
  readonly maxStreamNameSegments?: number
  /** Proxies in front, and how they say who asked them: for limits per client and for `Location`. */
  readonly proxy?: ProxyOptions
  /** Requests a second that one client address may send, in bursts of as many; no limit unless given. */
  readonly maxRequestsPerSecond?: number
  /** Scheme and authority for `Location`; derived from each request unless given. */
  readonly publicUrl?: string
  /** With it `GET <adminBasePath>/streams` lists the streams. Whoever may read may list. */
  readonly adminBasePath?: string
  /** Told of every answer once its head is made; a live one goes on after that. */
  readonly onAnswered?: (answered: AnsweredRequest) => void
  /** Bounds of the engine. */
  readonly limits?: Partial<EngineLimits>
  /** Called once the store is open and requests are served. */
  readonly onReady?: () => void
  /** Where failures on this side go; they are also answered with a 5xx. Standard error unless given. */
  readonly onError?: (error: unknown) => void
}

/** A request and its answer, for a log. */
export interface AnsweredRequest {
  readonly method: string
  /** The path as received, without its query. */
  readonly path: string
  readonly status: number
  /** From the head of the request to that of the answer. */
  readonly elapsedMs: number
}

/** Options with every default filled in. */
export interface HandlerSettings {
  readonly streamRoot: string
  readonly longPollTimeoutMs: number
  readonly sseReconnectIntervalMs: number
  readonly sseHeartbeatIntervalMs: number
  readonly maxBodyBytes: number
  readonly allowedOrigins: '*' | readonly string[]
  readonly allowedHosts: '*' | readonly string[]
  /** Shared by all requests. */
  readonly receivingRoom: BodyRoom
  readonly maxStreamNameBytes: number
  readonly maxStreamNameSegments: number
  readonly proxy: ForwardedHeaders | undefined
  readonly maxRequestsPerSecond: number | undefined
  readonly publicUrl: string | undefined
  readonly adminPath: string | undefined
  readonly onAnswered: ((answered: AnsweredRequest) => void) | undefined
  readonly onError: (error: unknown) => void
}

const MIB = 1024 * 1024

/** Fills in defaults and refuses values that cannot work. */
export function resolveOptions(options: HandlerOptions): HandlerSettings {
  return {
    streamRoot: streamRoot(options.streamBasePath ?? '/v1/stream'),
    longPollTimeoutMs: atLeast(1, 'longPollTimeoutMs', options.longPollTimeoutMs ?? 30_000),
    sseReconnectIntervalMs: atLeast(0, 'sseReconnectIntervalMs', options.sseReconnectIntervalMs ?? 60_000),
    sseHeartbeatIntervalMs: atLeast(0, 'sseHeartbeatIntervalMs', options.sseHeartbeatIntervalMs ?? 20_000),
    maxBodyBytes: atLeast(1, 'maxBodyBytes', options.maxBodyBytes ?? 16 * MIB),
    allowedOrigins: checked(
      ORIGIN,
      options.allowedOrigins ?? [],
      'An allowed origin is written like https://app.example.com',
    ),
    allowedHosts: checked(
      HOST,
      options.allowedHosts ?? [],
      'An allowed host is a name without scheme or port',
    ),
    receivingRoom: new BodyRoom(
      atLeast(
        1,
        'maxReceivingBytes',
        options.maxReceivingBytes ?? Math.max(512 * MIB, options.maxBodyBytes ?? 0),
      ),
    ),
    maxStreamNameBytes: nameBytes(options.maxStreamNameBytes ?? PROTOCOL_LIMITS.maxPathBytes),
    maxStreamNameSegments: Math.max(1, options.maxStreamNameSegments ?? Number.POSITIVE_INFINITY),
    proxy: options.proxy && new ForwardedHeaders(options.proxy),
    maxRequestsPerSecond:
      options.maxRequestsPerSecond && atLeast(1, 'maxRequestsPerSecond', options.maxRequestsPerSecond),
    publicUrl: options.publicUrl && publicUrl(options.publicUrl),
    adminPath: options.adminBasePath && adminPath(options.adminBasePath),
    onAnswered: options.onAnswered,
    onError: options.onError ?? ((error) => console.error(error)),
  }
}

function atLeast(least: number, name: string, value: number): number {
  if (Number.isFinite(value) && value >= least) return value
  throw new RangeError(`${name} must be a number of at least ${least}, not ${value}`)
}

function nameBytes(value: number): number {
  if (value <= PROTOCOL_LIMITS.maxPathBytes) return atLeast(1, 'maxStreamNameBytes', value)
  throw new RangeError(`maxStreamNameBytes is at most ${PROTOCOL_LIMITS.maxPathBytes}, not ${value}`)
}

/** What a value that is written as text has to look like. */
export const ORIGIN: RegExp = /^(?:https?:\/\/[^/\s]+|null)$/i
/** A name or an address in brackets. */
export const HOST: RegExp = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/
/** Scheme and authority. */
export const PUBLIC_URL: RegExp = /^https?:\/\/[^/\s?#]+\/?$/i
/** Plain segments, or nothing. */
export const BASE_PATH: RegExp = /^(?:\/[A-Za-z0-9._~-]+)*\/?$/
/** Plain segments, at least one. */
export const ADMIN_PATH: RegExp = /^(?:\/[A-Za-z0-9._~-]+)+$/

function checked(form: RegExp, names: '*' | readonly string[], rule: string): '*' | readonly string[] {
  const wrong = names === '*' ? undefined : names.find((name) => !form.test(name))
  if (wrong !== undefined) throw new RangeError(`${rule}, not ${wrong}.`)
  return names
}

function publicUrl(url: string): string {
  if (PUBLIC_URL.test(url)) return url.replace(/\/$/, '')
  throw new RangeError(
    `The public URL is a scheme and a host, such as https://streams.example.com, not ${url}.`,
  )
}

function adminPath(path: string): string {
  if (ADMIN_PATH.test(path)) return path
  throw new RangeError(`adminBasePath must be a plain URL path such as /admin, not ${path}`)
}

function streamRoot(basePath: string): string {
  if (!BASE_PATH.test(basePath)) {
    throw new RangeError(`streamBasePath must be a plain URL path such as /v1/stream, not ${basePath}`)
  }
  return basePath.endsWith('/') ? basePath : `${basePath}/`
}
