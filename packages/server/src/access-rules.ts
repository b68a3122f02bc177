/**
 * Who may talk to a server that has no authentication. Any web page can reach a local port, so an unknown `Host`
 * (DNS rebinding) and an unknown `Origin` are refused unless the operator has let them in.
 */
import type { HeaderList, HeaderLookup, Rejection } from '@millrace/protocol'

/** The verdict on one request: refused, or the headers that tell a browser what it may see. */
export type Access =
  | { readonly kind: 'refused'; readonly rejection: Rejection; readonly headers: HeaderList }
  | { readonly kind: 'granted'; readonly headers: HeaderList }

const EXPOSED = [
  'Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date, Stream-Closed, Stream-TTL, Stream-Expires-At',
  'Stream-SSE-Data-Encoding, Producer-Epoch, Producer-Seq, Producer-Expected-Seq, Producer-Received-Seq',
  'ETag, Location, Content-Type, Content-Encoding, Vary, Retry-After, WWW-Authenticate',
].join(', ')

const ALLOWED_HEADERS = [
  'Content-Type, Authorization, If-None-Match, Stream-Seq, Stream-TTL, Stream-Expires-At, Stream-Closed',
  'Stream-Forked-From, Stream-Fork-Offset, Stream-Fork-Sub-Offset, Producer-Id, Producer-Epoch, Producer-Seq',
].join(', ')

/** Methods of a stream URL, as `Allow` and preflights name them. */
export const STREAM_METHODS = 'GET, HEAD, POST, PUT, DELETE, OPTIONS'

/** Answers to a preflight (2.7). */
export const PREFLIGHT_HEADERS: HeaderList = [
  'Access-Control-Allow-Methods',
  STREAM_METHODS,
  'Access-Control-Allow-Headers',
  ALLOWED_HEADERS,
  'Access-Control-Max-Age',
  '600',
  'Allow',
  STREAM_METHODS,
]

/** Judges hosts and origins by one configuration. */
export class AccessRules {
  readonly #origins: '*' | ReadonlySet<string>
  readonly #hosts: '*' | ReadonlySet<string>
  /** What a request without an Origin gets. */
  readonly open: Access
  readonly #security: HeaderList

  constructor(allowedOrigins: '*' | readonly string[], allowedHosts: '*' | readonly string[]) {
    this.#origins =
      allowedOrigins === '*' ? '*' : new Set(allowedOrigins.map((origin) => origin.toLowerCase()))
    this.#hosts = allowedHosts === '*' ? '*' : new Set(allowedHosts.map((host) => host.toLowerCase()))
    const policy = allowedOrigins === '*' ? 'cross-origin' : 'same-site'
    this.#security = ['X-Content-Type-Options', 'nosniff', 'Cross-Origin-Resource-Policy', policy]
    const cors = allowedOrigins === '*' ? allowOrigin('*') : ['Vary', 'Origin']
    this.open = { kind: 'granted', headers: [...this.#security, ...cors] }
  }

  /** Checks one request. */
  judge(header: HeaderLookup): Access {
    const host = header('host')
    if (!this.#isOurHost(host)) return this.#refuse({ kind: 'host-refused', detail: HOST_REFUSED })
    const origin = header('origin')
    if (origin === undefined) {
      return this.#isForeignEmbed(header)
        ? this.#refuse({ kind: 'origin-refused', detail: EMBED_REFUSED })
        : this.open
    }
    if (this.#origins === '*') return this.open
    if (!isLoopbackOrigin(origin) && !this.#origins.has(origin.toLowerCase())) {
      return this.#refuse({ kind: 'origin-refused', detail: ORIGIN_REFUSED })
    }
    return { kind: 'granted', headers: [...this.#security, ...allowOrigin(origin), 'Vary', 'Origin'] }
  }

  #refuse(rejection: Rejection): Access {
    return { kind: 'refused', rejection, headers: [...this.#security, 'Vary', 'Origin'] }
  }

  #isOurHost(host: string | undefined): boolean {
    const name = host === undefined ? undefined : hostName(host)
    if (name === undefined) return false
    return this.#hosts === '*' || isLoopbackName(name) || this.#hosts.has(name)
  }

  /** A page elsewhere that loads a URL without CORS sends no Origin, but browsers say where it comes from. */
  #isForeignEmbed(header: HeaderLookup): boolean {
    if (this.#origins === '*' || header('sec-fetch-site') !== 'cross-site') return false
    return header('sec-fetch-mode') !== 'navigate'
  }
}

function allowOrigin(origin: string): HeaderList {
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', EXPOSED]
}

const HOST = /^(?:([A-Za-z0-9._-]+)|(\[[0-9A-Fa-f:.]+\]))(?::[0-9]{1,5})?$/

/** The lower-case name in a `Host` value, without its port; `undefined` if it is not one. */
function hostName(host: string): string | undefined {
  const match = HOST.exec(host)
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '')
}

/** Whether a host name always means this machine. */
export function isLoopbackName(name: string): boolean {
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name)
  )
}

function isLoopbackOrigin(origin: string): boolean {
  const match = /^https?:\/\/(.+)$/.exec(origin)
  const name = match?.[1] === undefined ? undefined : hostName(match[1])
  return name !== undefined && isLoopbackName(name)
}

const HOST_REFUSED =
  'This server does not answer to that Host: reach it as localhost, or add the name to its allowed hosts.'
const ORIGIN_REFUSED =
  'Pages of this Origin may not use this server: add the origin to its allowed origins, or * for all.'
const EMBED_REFUSED = 'Pages of other sites may not load this URL: add their origin to the allowed origins.'
