/** What a failed HTTP answer says, read once and whatever state its body is in. */

/** An answer that is not a success. */
export interface HttpFailure {
  readonly status: number
  /** The body, unless it was JSON. */
  readonly text: string | undefined
  /** The body, where it was a JSON object or array. */
  readonly json: object | undefined
  /** By lower-case name. */
  readonly headers: Record<string, string>
  readonly url: string
}

/**
 * Never fails: a body that is absent, consumed or breaks off counts as none. The answer to a HEAD has none, and in some
 * browsers waiting for its end takes for ever.
 */
export async function readFailure(response: Response, url: string, method?: string): Promise<HttpFailure> {
  const headers = Object.fromEntries(response.headers.entries())
  const body = method === 'HEAD' ? undefined : await readText(response)
  const json = body === undefined ? undefined : parseObject(body, headers['content-type'])
  return { status: response.status, text: json === undefined ? body : undefined, json, headers, url }
}

async function readText(response: Response): Promise<string | undefined> {
  if (response.body === null || response.bodyUsed) return undefined
  try {
    return await response.text()
  } catch {
    // The status is what matters; a connection that breaks while the server explains itself must not hide it.
    return undefined
  }
}

function parseObject(body: string, contentType: string | undefined): object | undefined {
  if (contentType === undefined || !/[/+]json\b/i.test(contentType)) return undefined
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
