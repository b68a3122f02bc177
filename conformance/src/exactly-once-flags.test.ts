import { expect, it } from 'vitest'
import { readExactlyOnceFlags } from './exactly-once-flags.ts'

it('takes flags, and has a value for those that are left out', () => {
  expect(readExactlyOnceFlags(['--events', '500', '--client', 'published'])).toEqual({
    flags: {
      client: 'published',
      events: 500,
      producers: 4,
      seed: 1,
      requestsPerKill: 150,
      patienceMs: 1_800_000,
    },
  })
})

it.each([
  [['--events', 'abc'], /--events is a whole number from 1 on, not abc/],
  [['--events='], /--events .* not empty/],
  [['--producers', '0'], /--producers .* not 0/],
  [['--client', 'other'], /--client is millrace or published, not other/],
  [['--event', '5'], /--event/],
  [['5'], /5/],
])('says what is wrong with %j, and what there is', (args, complaint) => {
  const read = readExactlyOnceFlags(args)
  const text = 'text' in read ? read.text : ''

  expect(text).toMatch(complaint)
  expect(text).toContain('--requests-per-kill')
  expect(read).toHaveProperty('isHelp', false)
})

it('has a --help', () => {
  expect(readExactlyOnceFlags(['--help'])).toMatchObject({ isHelp: true })
})
