/** A file of keys or rules that may change while the server runs. */
import { readFile, stat } from 'node:fs/promises'
import { OperatorNotice } from './operator-notice.ts'

/** How often a file is looked at, at most. */
const LOOK_INTERVAL_MS = 1000

/** What a file says, read again when the file has changed. A version that cannot be used changes nothing. */
export class WatchedFile<T> {
  readonly #path: string
  readonly #parse: (text: string) => T
  readonly #onError: (error: unknown) => void
  #content: { readonly value: T } | undefined
  #version = ''
  #complaint = ''
  #lookedAtMs = 0
  #looking: Promise<void> | undefined

  /** `parse` throws, with the reason, if the text cannot be used. */
  constructor(path: string, parse: (text: string) => T, onError: (error: unknown) => void) {
    this.#path = path
    this.#parse = parse
    this.#onError = onError
  }

  /** Reads the file for the first time; rejects with `RangeError` if it cannot be used. */
  async open(): Promise<void> {
    try {
      await this.#read()
    } catch (error) {
      throw new RangeError(`${this.#path} cannot be used: ${reasonOf(error)}`)
    }
  }

  /** What the file says now, or said last; `undefined` before it was opened. */
  async current(): Promise<T | undefined> {
    const nowMs = performance.now()
    if (this.#looking === undefined && nowMs - this.#lookedAtMs >= LOOK_INTERVAL_MS) {
      this.#lookedAtMs = nowMs
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined
      })
    }
    if (this.#looking !== undefined) await this.#looking
    return this.#content?.value
  }

  async #look(): Promise<void> {
    try {
      await this.#read()
      this.#complaint = ''
    } catch (error) {
      const complaint = `${this.#path} cannot be used, so what it said before holds: ${reasonOf(error)}`
      // Looked at again and again, but told once.
      if (complaint !== this.#complaint) this.#onError(new OperatorNotice(complaint))
      this.#complaint = complaint
    }
  }

  async #read(): Promise<void> {
    const { mtimeMs, size, ino } = await stat(this.#path)
    const version = `${mtimeMs} ${size} ${ino}`
    if (version === this.#version) return
    this.#content = { value: this.#parse(await readFile(this.#path, 'utf8')) }
    this.#version = version
  }
}

/** The text of a JSON error quotes the file, which may hold secrets. */
function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError) return 'it is not JSON.'
  if (error instanceof Error && 'code' in error) return `it cannot be read (${String(error.code)}).`
  return error instanceof Error ? error.message : String(error)
}

/** The list of a file of the form `{"<name>": [...]}`; throws `RangeError` if it has none. */
export function listIn(text: string, name: string): readonly unknown[] {
  const parsed: unknown = JSON.parse(text)
  const list: unknown = Object.entries(parsed ?? {}).find(([key]) => key === name)?.[1]
  if (Array.isArray(list)) return list
  throw new RangeError(`it has no list "${name}".`)
}
