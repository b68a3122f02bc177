/** Reads what is left of an answer, so that its connection can serve the next request. Never fails. */
export async function drainBody(response: Response): Promise<void> {
  if (response.body === null || response.bodyUsed) return
  try {
    await response.arrayBuffer()
  } catch {
    // The status line has said what became of the request; what breaks off after it changes nothing.
  }
}
