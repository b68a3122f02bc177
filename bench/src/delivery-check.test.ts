import { describe, expect, test } from 'vitest'
import { plainFormat } from './append-format.ts'
import { DeliveryCheck } from './delivery-check.ts'

const FORMAT = plainFormat('text/plain', 100)

function messages(...seqs: readonly number[]): string[] {
  return seqs.map((seq) => FORMAT.encode(0, seq))
}

/** What the check says after these payloads, when messages 1 to 4 were appended. */
function judge(payloads: readonly string[]): { readonly problems: string[]; readonly delivered: number[] } {
  const delivered: number[] = []
  const check = new DeliveryCheck(FORMAT, 1, (seq) => delivered.push(seq))
  for (const payload of payloads) check.receive(payload)
  return { problems: check.finish(9, 4), delivered }
}

describe('what a reader received', () => {
  test('every message once, in order', () => {
    expect(judge(messages(1, 2, 3, 4))).toEqual({ problems: [], delivered: [1, 2, 3, 4] })
  })

  test('merged and cut events', () => {
    const text = messages(1, 2, 3, 4).join('')
    expect(judge([text])).toEqual({ problems: [], delivered: [1, 2, 3, 4] })
    expect(judge([text.slice(0, 150), text.slice(150)])).toEqual({ problems: [], delivered: [1, 2, 3, 4] })
  })

  test.each([
    ['a lost message', [1, 2, 4], ['reader 9: 1 messages lost']],
    ['a lost tail', [1, 2], ['reader 9: 2 messages lost']],
    ['a lost beginning', [3, 4], ['reader 9: 2 messages lost']],
    ['a message twice', [1, 2, 2, 3, 4], ['reader 9: 1 messages duplicated']],
    ['an old message again', [1, 2, 3, 4, 1], ['reader 9: 1 messages duplicated']],
    ['two messages swapped', [1, 3, 2, 4], ['reader 9: 1 messages reordered']],
  ])('%s', (_name, seqs, problems) => {
    expect(judge(messages(...seqs)).problems).toEqual(problems)
  })

  test('a damaged message', () => {
    const [first = '', ...rest] = messages(1, 2, 3, 4)
    const { problems } = judge([`${first.slice(0, 99)}#`, ...rest])
    expect(problems).toEqual(['reader 9: 1 messages lost', 'reader 9: 1 messages corrupt'])
  })

  test('half a message at the end', () => {
    const [first = '', second = ''] = messages(1, 2)
    expect(judge([first, second.slice(0, 50)]).problems).toContain('reader 9: 1 messages corrupt')
  })
})
