import fc from 'fast-check'
import { expect, it } from 'vitest'
import { server, setUp } from './producer-setup.fixture.ts'
import { answers, type Script, type SentRequest } from './write-script.fixture.ts'

const TROUBLES = [
  'none',
  'none',
  'late',
  'request-lost',
  'answer-lost',
  '503',
  '502',
  '429',
  'fenced',
] as const
type Trouble = (typeof TROUBLES)[number]

/** A server behind a network that does to each request what was drawn for it; keeps what was stored, in order. */
class ChancyServer {
  readonly stored: string[] = []
  readonly #troubles: readonly Trouble[]
  readonly #rivals: number
  #judge = server()
  #taken = 0
  #epoch = 0

  constructor(troubles: readonly Trouble[], rivals: number) {
    this.#troubles = troubles
    this.#rivals = rivals
  }

  readonly script: Script = (request, index) => {
    const trouble = this.#troubles[index] ?? 'none'
    if (trouble === 'request-lost') return new TypeError('fetch failed')
    if (trouble === '503') return answers.status(503)
    if (trouble === '429') return answers.status(429)
    if (trouble === 'fenced') this.#takeOver()
    if (trouble === 'late') {
      // Later requests overtake this one.
      setTimeout(() => request.respond(this.#store(request, index)), 1)
      return undefined
    }
    const answer = this.#store(request, index)
    if (trouble === 'answer-lost') return new TypeError('fetch failed')
    return trouble === '502' ? answers.status(502) : answer
  }

  #store(request: SentRequest, index: number): Response {
    const epoch = Number(request.headers.get('producer-epoch'))
    if (epoch < this.#epoch) return answers.fenced(this.#epoch)
    const answer = this.#judge(request, index)
    if (!(answer instanceof Response)) throw new Error('the server always answers')
    if (answer.status === 200) {
      this.stored.push(request.body)
      this.#epoch = Math.max(this.#epoch, epoch)
    }
    return answer
  }

  /** Another claimer, of an epoch of its own, once the first message is confirmed. */
  #takeOver(): void {
    if (this.stored.length > 1 && this.#taken++ < this.#rivals) this.#epoch += 2
  }
}

function everyMessage(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `[${n}]`)
}

const troubles = fc.array(fc.constantFrom(...TROUBLES), { maxLength: 40, size: 'max' })
const runs = { seed: 20_261_122, numRuns: 100 }

it('(C-140, C-141) stores every message once and in order, or says which it did not', async () => {
  const property = fc.asyncProperty(troubles, fc.integer({ min: 0, max: 3 }), async (drawn, rivals) => {
    const chancy = new ChancyServer(drawn, rivals)
    const { producer, errors } = setUp(chancy.script, { maxBatchBytes: 1, autoClaim: true, maxInFlight: 4 })
    for (let n = 0; n < 12; n++) producer.append(n)
    const outcome = await producer.flush().then(
      () => 'stored',
      () => 'told',
    )
    expect(chancy.stored).toEqual([...new Set(chancy.stored)])
    expect(chancy.stored).toEqual(everyMessage(12).slice(0, chancy.stored.length))
    expect(outcome).toBe(errors.length === 0 ? 'stored' : 'told')
    if (outcome === 'stored') expect(chancy.stored).toEqual(everyMessage(12))
    if (rivals === 0) expect(outcome).toBe('stored')
  })
  await fc.assert(property, runs)
}, 60_000)
