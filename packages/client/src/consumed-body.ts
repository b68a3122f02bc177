/** A `fetch` whose answers are complete when it resolves. */
import { FetchBackoffAbortError, FetchError } from './errors.ts'

const WITHOUT_BODY: ReadonlySet<number> = new Set([201, 204, 205])

/**
 * Wraps `fetch` so that the whole body has been received when it resolves; 1xx, 201, 204 and 205 are passed through.
 * Throws `FetchError` when the body breaks off, `FetchBackoffAbortError` when the request was aborted meanwhile.
 */
export function createFetchWithConsumedBody(fetchClient: typeof fetch): typeof fetch {
  return async (input, init) => {
    const url = typeof input === 'object' && 'url' in input ? input.url : String(input)
    const response = await fetchClient(input, init)
    const { status, statusText, headers } = response
    if (status < 200 || WITHOUT_BODY.has(status)) return response
    try {
      const body = await response.arrayBuffer()
      return new Response(body.byteLength === 0 ? null : body, { status, statusText, headers })
    } catch (error) {
      if (init?.signal?.aborted === true) throw new FetchBackoffAbortError()
      const reason = error instanceof Error ? error.message : String(error)
      const message = `The answer from ${url} broke off: ${reason}`
      throw new FetchError(status, undefined, undefined, Object.fromEntries(headers.entries()), url, message)
    }
  }
}
