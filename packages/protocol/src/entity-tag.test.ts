import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entityTag, matchesTag } from './entity-tag.ts'
import { formatOffset } from './offset.ts'
import { streamId } from './stream-state.ts'

const runs = { seed: 20_241_009, numRuns: 5000 }
const id = streamId('01-first')
const end = formatOffset(12, 0)
const tag = entityTag(id, '-1', end, false)

describe('an ETag', () => {
  it('is a quoted string of incarnation, start and end, with a mark at the end of a closed stream', () => {
    expect(tag).toBe('"01-first:-1:0000000000000000_0000000000000012"')
    expect(entityTag(id, '-1', end, true)).toBe('"01-first:-1:0000000000000000_0000000000000012:c"')
  })

  it('R-160: changes with the end of the answer', () => {
    expect(entityTag(id, '-1', formatOffset(13, 0), false)).not.toBe(tag)
  })

  it('R-161: changes when the stream is closed without data', () => {
    expect(entityTag(id, '-1', end, true)).not.toBe(tag)
  })

  it('R-162: differs between two incarnations of one URL', () => {
    expect(entityTag(streamId('02-second'), '-1', end, false)).not.toBe(tag)
  })
})

describe('If-None-Match', () => {
  it.each([
    ['the tag', tag],
    ['the tag as a weak one', `W/${tag}`],
    ['a star', '*'],
    ['a star with spaces', ' * '],
    ['a list that ends with it', `"a", "b",${tag}`],
    ['a list that starts with it', `${tag} , "b"`],
    ['a list of weak tags', `W/"a",\tW/${tag},W/"b"`],
    ['a list with commas inside tags', `"a,b", ${tag}`],
    ['an empty tag before it', `"", ${tag}`],
    ['a comma after it', `${tag},`],
  ])('R-162: matches %s', (_, value) => {
    expect(matchesTag(value, tag)).toBe(true)
  })

  it.each([
    ['a comma before the tag', `, ${tag}`],
    ['empty elements between tags', `"a", ,, ${tag}`],
  ])('R-162: ignores empty elements of the list: %s', (_, value) => {
    expect(matchesTag(value, tag)).toBe(true)
  })

  it.each([
    ['nothing', ''],
    ['another tag', '"a"'],
    ['the tag without quotes', tag.slice(1, -1)],
    ['the tag cut short', `${tag.slice(0, -2)}"`],
    ['the tag with more', `${tag.slice(0, -1)}:c"`],
    ['the tag inside another', `"x${tag.slice(1, -1)}"`],
    ['the tag in another case', tag.toUpperCase()],
    ['the tag in two quotes', `"${tag}"`],
    ['a quote that stays open', '"'],
    ['two stars', '**'],
    ['a star in quotes', '"*"'],
    ['commas', ',,,'],
  ])('R-159: does not match %s', (_, value) => {
    expect(matchesTag(value, tag)).toBe(false)
  })

  it('R-162: matches a list exactly when one of its elements is the tag', () => {
    const other = fc
      .string({ unit: fc.constantFrom(...'abc:,-_01 /W*\\'), maxLength: 8 })
      .map((text) => `"${text}"`)
    const weak = fc.constantFrom('', 'W/')
    const element = fc.tuple(weak, fc.oneof(other, fc.constant(tag)))
    const separator = fc.constantFrom(',', ', ', ' ,\t', ' , ')
    const property = fc.property(
      fc.array(element, { minLength: 1, maxLength: 6 }),
      separator,
      (elements, comma) => {
        const value = elements.map((parts) => parts.join('')).join(comma)
        return matchesTag(value, tag) === elements.some(([, text]) => text === tag)
      },
    )
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is answered for any text, however long', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'"W/*, \t:a'), maxLength: 40 }),
    )
    const property = fc.property(text, (value) => typeof matchesTag(value, tag) === 'boolean')
    const long = ['"', ' ', ',', '"a"', '"a",', 'W/', '*', `${tag} `].map((unit) => unit.repeat(50_000))
    expect(fc.check(property, runs).counterexample).toBeNull()
    expect(long.map((value) => matchesTag(`${value}!`, '"x"'))).toEqual(Array.from(long, () => false))
  })
})
