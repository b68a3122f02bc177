/** Random requests of every kind, many of them wrong, about a handful of streams. */
import type { SeededRandom } from './seeded-random.ts'

/** A request; `If-None-Match` is added by whoever sends it, from the tag of an earlier answer. */
export interface RandomRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly repeatsTag: boolean
}

const PATHS = ['a', 'b', 'c/d', 'c/e']
const TYPES = ['text/plain', 'application/json', 'application/octet-stream', 'text/plain; charset=utf-8']
const BODIES = [
  'plain text',
  '{"n":1}',
  '[{"n":2},{"big":12345678901234567890},"three"]',
  '[]',
  '',
  '{"broken":',
  'ü€ \n\r\n data: x',
  'x'.repeat(700),
  JSON.stringify(Array.from({ length: 30 }, (_, n) => ({ n, pad: 'y'.repeat(20) }))),
]

/** Draws requests; offsets are those that answers have named, and some that none has. */
export class RandomRequests {
  readonly #random: SeededRandom
  readonly #offsets: string[] = ['-1', 'now', '0000000000000000_0000000000000003', 'nonsense']

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** An answer named this offset: later requests may use it. */
  learn(offset: string | null): void {
    if (offset !== null && !this.#offsets.includes(offset)) this.#offsets.push(offset)
    if (this.#offsets.length > 24) this.#offsets.splice(4, 1)
  }

  next(): RandomRequest {
    const random = this.#random
    const draw = random.next()
    if (draw < 0.2) return this.#put()
    if (draw < 0.55) return this.#post()
    if (draw < 0.6) return this.#plain('DELETE')
    if (draw < 0.68) return this.#plain('HEAD')
    return this.#get()
  }

  #plain(method: string): RandomRequest {
    return { method, path: this.#random.pick(PATHS), headers: {}, body: undefined, repeatsTag: false }
  }

  #put(): RandomRequest {
    const random = this.#random
    const headers: Record<string, string> = {}
    if (random.chance(0.8)) headers['content-type'] = random.pick(TYPES)
    if (random.chance(0.2)) headers['stream-ttl'] = random.pick(['3600', '7200', '-1', '1.5'])
    if (random.chance(0.1)) headers['stream-closed'] = 'true'
    if (random.chance(0.3)) {
      headers['stream-forked-from'] = `/v1/stream/${random.pick(PATHS)}`
      if (random.chance(0.5)) headers['stream-fork-offset'] = random.pick(this.#offsets)
      if (random.chance(0.2)) headers['stream-fork-sub-offset'] = String(random.below(4))
    }
    const body = random.chance(0.5) ? random.pick(BODIES) : undefined
    return { method: 'PUT', path: random.pick(PATHS), headers, body, repeatsTag: false }
  }

  #post(): RandomRequest {
    const random = this.#random
    const headers: Record<string, string> = {}
    if (random.chance(0.95)) headers['content-type'] = random.pick(TYPES)
    if (random.chance(0.5)) {
      headers['producer-id'] = random.pick(['p', 'q'])
      headers['producer-epoch'] = String(random.below(3))
      headers['producer-seq'] = String(random.below(5))
    }
    if (random.chance(0.2)) headers['stream-seq'] = random.pick(['a', 'b', 'c', 'd'])
    if (random.chance(0.03)) headers['stream-closed'] = 'true'
    const body = random.chance(0.95) ? random.pick(BODIES) : undefined
    return { method: 'POST', path: random.pick(PATHS), headers, body, repeatsTag: false }
  }

  #get(): RandomRequest {
    const random = this.#random
    const query = [`offset=${random.chance(0.4) ? '-1' : random.pick(this.#offsets)}`]
    const live = random.next()
    if (live < 0.15) query.push('live=long-poll')
    else if (live < 0.3) query.push('live=sse')
    if (random.chance(0.05)) query.splice(0, 1)
    const path = `${random.pick(PATHS)}${query.length > 0 ? `?${query.join('&')}` : ''}`
    return { method: 'GET', path, headers: {}, body: undefined, repeatsTag: random.chance(0.7) }
  }
}
