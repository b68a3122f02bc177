/** Who is at the other end of a request, as far as the platform tells its fetch handlers. */

/** What is known of the connection of a request. */
export interface FetchPeer {
  /** Address of whoever has the connection; `undefined` where the platform does not tell. */
  readonly address: string | undefined
  readonly hasClientCertificate: boolean
}

/**
 * Looks in what a platform hands over beside the request: Bun its server, Deno the connection, and anybody else may
 * hand over a `clientAddress` and a `hasClientCertificate`. Of anything else nothing is taken.
 */
export function peerOf(request: Request, platform: unknown): FetchPeer {
  const told = entriesOf(platform)
  return {
    address:
      textOf(told.clientAddress) ??
      bunAddress(request, platform) ??
      textOf(entriesOf(told.remoteAddr).hostname),
    hasClientCertificate: told.hasClientCertificate === true,
  }
}

type Entries = Readonly<Record<string, unknown>>

interface BunServer {
  requestIP(request: Request): { readonly address: string } | null
}

function bunAddress(request: Request, platform: unknown): string | undefined {
  return isBunServer(platform) ? platform.requestIP(request)?.address : undefined
}

function isBunServer(platform: unknown): platform is BunServer {
  return typeof entriesOf(platform).requestIP === 'function'
}

function entriesOf(value: unknown): Entries {
  return typeof value === 'object' && value !== null ? (value as Entries) : {}
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
