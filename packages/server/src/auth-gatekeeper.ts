/** The gatekeeper pattern: a proxy in front checks who asks, and says so in a header. */
import { BlockList, isIP } from 'node:net'
import type { WireRequest } from '@millrace/protocol'
import type { TrustedHeaderOptions } from './auth-options.ts'
import { type Grant, parseScopes } from './auth-scopes.ts'

/** What a trusted proxy says; `malformed` where it is not to be believed. */
export type Vouched = { readonly subject: string; readonly grants: readonly Grant[] } | 'malformed'

const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
const MAX_SUBJECT_LENGTH = 512

/** Believes headers of some peers. */
export class Gatekeeper {
  readonly #userHeader: string
  readonly #scopesHeader: string | undefined
  readonly #proxies: BlockList
  readonly #requiresTls: boolean

  /** Throws `RangeError` for a header or a proxy that is none. */
  constructor(options: TrustedHeaderOptions) {
    this.#userHeader = headerName(options.userHeader)
    this.#scopesHeader = options.scopesHeader === undefined ? undefined : headerName(options.scopesHeader)
    this.#proxies = toBlockList(options.trustedProxies)
    this.#requiresTls = options.requireTls ?? true
  }

  /** The user that a trusted proxy names; `undefined` if none does. What anybody else says is not even looked at. */
  vouchedFor(request: WireRequest): Vouched | undefined {
    if (!this.#isTrusted(request)) return undefined
    const subject = request.header(this.#userHeader)
    if (subject === undefined || subject === '') return undefined
    // Sent twice, the fields arrive joined by a comma: one of them may be the client's own.
    if (subject.includes(',') || subject.length > MAX_SUBJECT_LENGTH) return 'malformed'
    const scopes = this.#scopesHeader === undefined ? undefined : request.header(this.#scopesHeader)
    if (scopes?.includes(', ') === true) return 'malformed'
    return { subject, grants: scopes === undefined ? [] : parseScopes(scopes) }
  }

  #isTrusted({ client, hasClientCertificate }: WireRequest): boolean {
    if (client === undefined || (this.#requiresTls && hasClientCertificate !== true)) return false
    const family = isIP(client)
    return family !== 0 && this.#proxies.check(client, family === 6 ? 'ipv6' : 'ipv4')
  }
}

function headerName(name: string): string {
  const lower = name.toLowerCase()
  if (HEADER_NAME.test(lower) && lower !== 'authorization' && lower !== 'host') return lower
  throw new RangeError(`${name} is no name for the header of a trusted proxy.`)
}

function toBlockList(proxies: readonly string[]): BlockList {
  if (proxies.length === 0) throw new RangeError('Say which proxies are trusted: addresses or CIDR ranges.')
  const list = new BlockList()
  for (const proxy of proxies) {
    const [address = '', bits, ...rest] = proxy.split('/')
    const version = isIP(address)
    const family = version === 6 ? 'ipv6' : 'ipv4'
    const most = version === 6 ? 128 : 32
    const isPrefix = bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= most)
    if (version === 0 || !isPrefix || rest.length > 0) {
      throw new RangeError(`${proxy} is no address of a proxy and no CIDR range such as 10.0.0.0/8.`)
    }
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
