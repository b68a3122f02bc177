import { describe, expect, test } from 'vitest'
import { jsonFormat, plainFormat } from './append-format.ts'
import { AppendLedger, type AppendName, describeFindings, noFindings } from './append-ledger.ts'

const ACKNOWLEDGED: readonly AppendName[] = [
  { writer: 0, seq: 1 },
  { writer: 1, seq: 1 },
  { writer: 0, seq: 2 },
  { writer: 1, seq: 3 },
  { writer: 0, seq: 4 },
]

function ledger(): AppendLedger {
  const made = new AppendLedger(2)
  for (const { writer, seq } of ACKNOWLEDGED) made.acknowledge(1, writer, seq)
  return made
}

function pick(...indexes: readonly number[]): AppendName[] {
  return indexes.flatMap((index) => ACKNOWLEDGED[index] ?? [])
}

describe('the ledger', () => {
  test.each([
    ['what was acknowledged', [0, 1, 2, 3, 4], {}],
    ['writers interleaved in another way', [1, 3, 0, 2, 4], {}],
    ['a lost message', [0, 1, 3, 4], { lost: 1 }],
    ['a lost tail', [0, 1], { lost: 3 }],
    ['a message twice', [0, 1, 1, 2, 3, 4], { duplicated: 1 }],
    ['a message again at the end', [0, 1, 2, 3, 4, 0], { duplicated: 1 }],
    ['two messages of one writer swapped', [0, 1, 4, 3, 2], { reordered: 1 }],
    ['nothing', [], { lost: 5 }],
  ])('%s', (_name, indexes, expected) => {
    expect(ledger().judge(1, pick(...indexes))).toEqual({ ...noFindings(), ...expected })
  })

  test('a message that was never acknowledged', () => {
    const found = [...pick(0, 1, 2, 3, 4), { writer: 7, seq: 1 }]
    expect(ledger().judge(1, found)).toEqual({ ...noFindings(), unexpected: 1 })
  })

  test('a message of another stream is lost there and unexpected here', () => {
    const found = pick(0, 1, 2, 3, 4)
    expect(ledger().judge(0, found)).toEqual({ ...noFindings(), unexpected: 5 })
  })

  test('a damaged message', () => {
    const found = [...pick(0, 1, 2, 3), undefined]
    expect(ledger().judge(1, found)).toEqual({ ...noFindings(), lost: 1, corrupt: 1 })
  })

  test('findings are described, silence means none', () => {
    expect(describeFindings('here', noFindings())).toEqual([])
    expect(describeFindings('here', { ...noFindings(), lost: 2 })).toEqual(['here: 2 messages lost'])
  })
})

describe('formats', () => {
  const plain = plainFormat('application/octet-stream', 256)
  const json = jsonFormat(100)

  test('bodies have the size they announce', () => {
    expect([plain.encode(63, 12_345).length, json.encode(63, 12_345).length]).toEqual([256, 100])
  })

  test('plain messages are found wherever the responses are cut', () => {
    const text = plain.encode(1, 1) + plain.encode(2, 1) + plain.encode(1, 2)
    const responses = [Buffer.from(text.slice(0, 300)), Buffer.from(text.slice(300))]
    expect(plain.decode(responses)).toEqual([
      { writer: 1, seq: 1 },
      { writer: 2, seq: 1 },
      { writer: 1, seq: 2 },
    ])
  })

  test('JSON messages are found in the arrays of all responses', () => {
    const responses = [`[${json.encode(1, 1)},${json.encode(2, 1)}]`, '[]', `[${json.encode(1, 2)}]`]
    expect(json.decode(responses.map((text) => Buffer.from(text)))).toEqual([
      { writer: 1, seq: 1 },
      { writer: 2, seq: 1 },
      { writer: 1, seq: 2 },
    ])
  })

  test('one wrong or missing byte is noticed', () => {
    const body = plain.encode(1, 1)
    const damaged = `${body.slice(0, 200)}#${body.slice(201)}`
    expect(plain.decode([Buffer.from(damaged)])).toEqual([undefined])
    expect(plain.decode([Buffer.from(body.slice(1))])).toEqual([undefined])
    expect(json.decode([Buffer.from(`[${json.encode(1, 1).replace('true', 'null')}]`)])).toEqual([undefined])
  })
})
