/** Addresses and ranges of the peers that are believed. */
import { BlockList, isIP } from 'node:net'

/** Tells whether an address is one of those listed. */
export class PeerList {
  readonly #list = new BlockList()

  /** Throws `RangeError` for what is neither an address nor a CIDR range, and for an empty list. */
  constructor(peers: readonly string[]) {
    if (peers.length === 0) throw new RangeError('Say which proxies are trusted: addresses or CIDR ranges.')
    for (const peer of peers) this.#add(peer)
  }

  /** False for what is no address. */
  includes(address: string | undefined): boolean {
    const family = address === undefined ? 0 : isIP(address)
    return family !== 0 && this.#list.check(address ?? '', family === 6 ? 'ipv6' : 'ipv4')
  }

  #add(peer: string): void {
    const [address = '', bits, ...rest] = peer.split('/')
    const version = isIP(address)
    const family = version === 6 ? 'ipv6' : 'ipv4'
    const most = version === 6 ? 128 : 32
    const isPrefix = bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= most)
    if (version === 0 || !isPrefix || rest.length > 0) {
      throw new RangeError(`${peer} is no address of a proxy and no CIDR range such as 10.0.0.0/8.`)
    }
    if (bits === undefined) this.#list.addAddress(address, family)
    else this.#list.addSubnet(address, Number(bits), family)
  }
}
