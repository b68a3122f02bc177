/** A request body from what a caller hands over piece by piece. */

const utf8 = new TextEncoder()

/** Pulls from the source as the request is sent; cancelling it ends the source. Strings become UTF-8. */
export function toByteStream(
  source: ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
): ReadableStream<Uint8Array> {
  const iterator = iterate(source)
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(typeof value === 'string' ? utf8.encode(value) : value)
    },
    async cancel(reason) {
      await iterator.return?.(reason)
    },
  })
}

/** Not every platform can iterate its streams. */
function iterate(
  source: ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
): AsyncIterator<Uint8Array | string> {
  if (!('getReader' in source)) return source[Symbol.asyncIterator]()
  const reader = source.getReader()
  return {
    next: async () => {
      const { done, value } = await reader.read()
      return done ? { done, value: undefined } : { done, value }
    },
    return: async (reason) => {
      await reader.cancel(reason)
      return { done: true, value: undefined }
    },
  }
}
