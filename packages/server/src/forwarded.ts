/** Who is behind the proxies in front of this server, as far as those that are trusted say. */
import { isIP, isIPv4 } from 'node:net'
import type { WireRequest } from '@millrace/protocol'
import { PeerList } from './peer-list.ts'

/** Proxies in front of this server. */
export interface ProxyOptions {
  /** Addresses or CIDR ranges of proxies whose headers count. */
  readonly trustedProxies: readonly string[]
  /** `x-forwarded`: X-Forwarded-For, -Proto and -Host. `forwarded`: the Forwarded header (RFC 7239). */
  readonly forwardedHeaders: 'x-forwarded' | 'forwarded'
}

/** What one proxy says of who asked it. */
interface Hop {
  readonly address: string | undefined
  readonly scheme: string | undefined
  readonly host: string | undefined
}

/** Proxies that are looked at; a longer chain is no longer believed. */
const MAX_HOPS = 32
const HOST = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/

/** Reads what trusted proxies say; what anybody else says is not even looked at. */
export class ForwardedHeaders {
  readonly #proxies: PeerList
  readonly #kind: ProxyOptions['forwardedHeaders']

  /** Throws `RangeError` for a proxy that is none. */
  constructor({ trustedProxies, forwardedHeaders }: ProxyOptions) {
    this.#proxies = new PeerList(trustedProxies)
    this.#kind = forwardedHeaders
  }

  /** The address that the outermost trusted proxy was asked by; that of the peer where no proxy says anything. */
  clientOf(request: WireRequest): string | undefined {
    let client = request.client
    for (const { address } of this.#hopsOf(request)) {
      if (address === undefined || !this.#proxies.includes(client)) return client
      client = address
    }
    return client
  }

  /** Scheme and authority that the proxy next to this server was asked for; `undefined` where it does not say. */
  originOf(request: WireRequest): string | undefined {
    if (!this.#proxies.includes(request.client)) return undefined
    const [hop] = this.#hopsOf(request)
    const host = hop?.host ?? request.header('host')
    const scheme = hop?.scheme ?? request.scheme
    if (hop === undefined || host === undefined || !HOST.test(host)) return undefined
    return scheme === 'http' || scheme === 'https' ? `${scheme}://${host}` : undefined
  }

  /** The nearest first. */
  #hopsOf(request: WireRequest): readonly Hop[] {
    const hops = this.#kind === 'forwarded' ? forwarded(request) : xForwarded(request)
    return hops.slice(-MAX_HOPS).reverse()
  }
}

function xForwarded({ header }: WireRequest): readonly Hop[] {
  const addresses = header('x-forwarded-for')?.split(',') ?? []
  const schemes = header('x-forwarded-proto')?.split(',') ?? []
  const hosts = header('x-forwarded-host')?.split(',') ?? []
  const count = Math.max(addresses.length, schemes.length, hosts.length)
  // Each proxy appends: what the nearest one says is the last of each.
  const at = (list: readonly string[], index: number): string | undefined =>
    list[list.length - count + index]?.trim()
  return Array.from({ length: count }, (_, index) => ({
    address: toAddress(at(addresses, index)),
    scheme: at(schemes, index)?.toLowerCase(),
    host: at(hosts, index),
  }))
}

const PAIR = /^\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*))\s*$/

function forwarded({ header }: WireRequest): readonly Hop[] {
  return (header('forwarded')?.split(',') ?? []).map((element) => {
    const parameters = new Map<string, string>()
    for (const part of element.split(';')) {
      const [, name = '', quoted, plain] = PAIR.exec(part) ?? []
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
    }
    return {
      address: toAddress(parameters.get('for')),
      scheme: parameters.get('proto')?.toLowerCase(),
      host: parameters.get('host'),
    }
  })
}

/** An address, with or without a port; `undefined` for names, placeholders and everything else. */
function toAddress(text: string | undefined): string | undefined {
  const [, bracketed, plain] = /^(?:\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([^[\]]+))$/.exec(text ?? '') ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? bracketed : undefined
  if (plain === undefined || isIP(plain) !== 0) return plain
  const withoutPort = plain.replace(/:\d{1,5}$/, '')
  return isIPv4(withoutPort) ? withoutPort : undefined
}

/**
 * What a limit per client counts by: a client with IPv6 has a whole /64 to send from, and an IPv4 client is the same one
 * in either notation.
 */
export function limitKeyOf(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  if (isIP(address) !== 6) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...front, ...Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0'), ...back]
  const network = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''))
  return `${network.join(':')}::/64`
}
