/** Standard output for data: exact, never more in memory than one piece, and at peace with readers that leave. */
import type { Writable } from 'node:stream'
import { CommandFailure, STREAM_EXIT } from './stream-failure.ts'

/** Writes one piece after the other to standard output, or whatever stands in for it. */
export class PipeOutput {
  readonly #stream: Writable
  #hasReader = true

  constructor(stream: Writable = process.stdout) {
    this.#stream = stream
    stream.on('error', (error) => {
      // Other errors reach whoever writes; without a listener this one would end the process.
      if (isGone(error)) this.#hasReader = false
    })
  }

  /** False once the reader has gone, as `head` does when it has seen enough. Rejects with a failure for anything else. */
  write(piece: string | Uint8Array): Promise<boolean> {
    if (!this.#hasReader) return Promise.resolve(false)
    return new Promise((resolve, reject) => {
      this.#stream.write(piece, (error) => {
        if (error === undefined || error === null) resolve(true)
        else if (isGone(error)) resolve(false)
        else reject(new CommandFailure(`The output can't be written: ${error.message}.`, STREAM_EXIT.other))
      })
    })
  }
}

function isGone(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
}
