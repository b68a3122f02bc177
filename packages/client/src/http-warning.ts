/** Warns, in browsers, about URLs over which only six requests can be open at a time. */

/** What browsers allow an origin over HTTP/1.1, all their tabs together. */
const MOST_CONNECTIONS = 6

const warnedOrigins = new Set<string>()
const crowdedOrigins = new Set<string>()
const liveStreams = new Map<string, number>()

/**
 * Warns through `console.warn` when a browser reads a stream over `http:`, once per origin. Does nothing outside
 * browsers, when `NODE_ENV` is `test`, when `warnOnHttp` is false and for URLs that can't be parsed.
 */
export function warnIfUsingHttpInBrowser(url: string | URL, warnOnHttp?: boolean): void {
  if (warnOnHttp === false) return
  const origin = limitedOrigin(url)
  if (origin === undefined || warnedOrigins.has(origin)) return
  warnedOrigins.add(origin)
  console.warn(
    `Streams of ${origin} are read over HTTP/1.1: a browser keeps at most six requests open for an origin, ` +
      'and each live stream is one. Serve them over https with HTTP/2, or pass warnOnHttp: false',
  )
}

/**
 * Counts a stream that is followed live until the returned function is called, which may be done once. Warns, once per
 * origin and under the conditions of `warnIfUsingHttpInBrowser`, when live streams take all connections that there are.
 */
export function countLiveStream(url: string, warnOnHttp: boolean | undefined): () => void {
  const origin = limitedOrigin(url)
  if (origin === undefined) return () => undefined
  const count = (liveStreams.get(origin) ?? 0) + 1
  liveStreams.set(origin, count)
  if (count >= MOST_CONNECTIONS && warnOnHttp !== false && !crowdedOrigins.has(origin)) {
    crowdedOrigins.add(origin)
    console.warn(
      `${count} live streams of ${origin} are open over HTTP/1.1, and a browser opens no more than six connections to ` +
        'an origin, all tabs together. Every further read or append waits until one of them ends. Serve the streams ' +
        "over https with HTTP/2, or follow fewer of them at once; with live: 'long-poll' they only take turns",
    )
  }
  return () => {
    const left = (liveStreams.get(origin) ?? 1) - 1
    if (left > 0) liveStreams.set(origin, left)
    else liveStreams.delete(origin)
  }
}

/** Forgets which origins were warned about. For tests. */
export function _resetHttpWarningForTesting(): void {
  warnedOrigins.clear()
  crowdedOrigins.clear()
}

/** The origin of a URL to which a browser makes few connections; undefined where there is no limit or no one to tell. */
function limitedOrigin(url: string | URL): string | undefined {
  const { window, process } = globalThis as {
    readonly window?: { readonly location?: { readonly href?: string } }
    readonly process?: { readonly env?: { readonly NODE_ENV?: string } }
  }
  if (window === undefined || typeof console === 'undefined' || process?.env?.NODE_ENV === 'test')
    return undefined
  const parsed = parseUrl(url, window.location?.href)
  return parsed?.protocol === 'http:' ? parsed.origin : undefined
}

function parseUrl(url: string | URL, relativeTo: string | undefined): URL | undefined {
  try {
    return new URL(url, relativeTo)
  } catch {
    return undefined
  }
}
