/** Warns, in browsers, about URLs over which only six requests can be open at a time. */

const warnedOrigins = new Set<string>()

/**
 * Warns through `console.warn` when a browser reads a stream over `http:`, once per origin. Does nothing outside
 * browsers, when `NODE_ENV` is `test`, when `warnOnHttp` is false and for URLs that can't be parsed.
 */
export function warnIfUsingHttpInBrowser(url: string | URL, warnOnHttp?: boolean): void {
  if (warnOnHttp === false) return
  const { window, process } = globalThis as {
    readonly window?: { readonly location?: { readonly href?: string } }
    readonly process?: { readonly env?: { readonly NODE_ENV?: string } }
  }
  if (window === undefined || typeof console === 'undefined' || process?.env?.NODE_ENV === 'test') return
  const parsed = parseUrl(url, window.location?.href)
  if (parsed?.protocol !== 'http:' || warnedOrigins.has(parsed.origin)) return
  warnedOrigins.add(parsed.origin)
  console.warn(
    `Streams of ${parsed.origin} are read over HTTP/1.1: a browser keeps at most six requests open for an origin, ` +
      'and each live stream is one. Serve them over https with HTTP/2, or pass warnOnHttp: false',
  )
}

/** Forgets which origins were warned about. For tests. */
export function _resetHttpWarningForTesting(): void {
  warnedOrigins.clear()
}

function parseUrl(url: string | URL, relativeTo: string | undefined): URL | undefined {
  try {
    return new URL(url, relativeTo)
  } catch {
    return undefined
  }
}
