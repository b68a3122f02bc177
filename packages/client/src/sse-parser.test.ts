import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SseEvent, SseParser } from './sse-parser.ts'

function parse(...pieces: readonly string[]): SseEvent[] {
  const parser = new SseParser()
  return [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]
}

const ONE = [{ name: 'data', data: 'a' }]

describe('lines (C-040)', () => {
  it.each(['\n', '\r\n', '\r'])('end with %j', (eol) => {
    expect(parse(`event: data${eol}data: a${eol}${eol}event: x${eol}data: b${eol}${eol}`)).toEqual([
      ...ONE,
      { name: 'x', data: 'b' },
    ])
  })

  it('a CRLF may be split over chunks, also with an empty one between', () => {
    expect(parse('event: data\r', '\ndata: a\r', '', '\n\r', '\n')).toEqual(ONE)
    expect(parse('event: data\r', 'data: a\r', '\r')).toEqual(ONE)
  })

  it('an event that ends in CR is there at once, and the LF after it ends nothing', () => {
    const parser = new SseParser()

    expect(parser.push('event: data\r\ndata: a\r\n\r')).toEqual(ONE)
    expect(parser.push('\nevent: data\r\ndata: a\r\n\r\n')).toEqual(ONE)
  })

  it('several data lines are joined by LF, an empty one counts', () => {
    expect(parse('event: data\ndata: a\ndata\ndata:\ndata:b\n\n')).toEqual([
      { name: 'data', data: 'a\n\n\nb' },
    ])
  })

  it('comments, id, retry and unknown fields are ignored', () => {
    expect(parse(': c\nid: 1\nretry: 5\nevent: data\nfoo: bar\ndatax: y\ndata: a\n\n')).toEqual(ONE)
  })

  it('an event without a name or without data is dropped, and leaves nothing to the next', () => {
    expect(parse('data: x\n\nevent: y\n\n\nevent: data\ndata: a\n\n')).toEqual(ONE)
  })

  it('the end completes an event', () => {
    expect(parse('event: data\ndata: a')).toEqual(ONE)
    expect(parse('event: data\ndata: a\n')).toEqual(ONE)
  })
})

describe('values (C-041)', () => {
  it.each([
    ['data:a', 'a'],
    ['data: a', 'a'],
    ['data:  a ', ' a '],
    ['data:\ta', '\ta'],
    ['data: a\u0085b\u2028c\u2029d', 'a\u0085b\u2028c\u2029d'],
  ])('%j is %j', (line, data) => {
    expect(parse(`event:data\n${line}\n\n`)).toEqual([{ name: 'data', data }])
  })
})

it('how the text is cut into chunks changes nothing (C-040)', () => {
  const line = fc.oneof(
    fc.constantFrom('event: data', 'event:x', 'data: a', 'data:b', 'data', ': c', '', ''),
    fc.string({ maxLength: 8 }).map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
  )
  const eol = fc.constantFrom('\n', '\r\n', '\r')
  const text = fc.array(fc.tuple(line, eol)).map((lines) => lines.flat().join(''))
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), (whole, cuts) => {
      const places = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length]
      const pieces = places.slice(1).map((end, i) => whole.slice(places[i], end))
      expect(parse(...pieces)).toEqual(parse(whole))
    }),
  )
})

it('a long text without CR is read in time that grows with its length only', () => {
  const events = 'event: data\ndata: a\n\n'.repeat(100_000)

  expect(parse(events)).toHaveLength(100_000)
})
