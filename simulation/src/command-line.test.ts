/** The command line of the simulation: what it takes, and what it says about what it does not take. */
import { describe, expect, it } from 'vitest'
import { BREAKS } from './breaks.ts'
import { readCommandLine } from './command-line.ts'

const NAMES = BREAKS.map(({ name }) => name)

function read(...args: string[]): ReturnType<typeof readCommandLine> {
  return readCommandLine(args, NAMES)
}

describe('the command line of the simulation', () => {
  it('runs 200 seeds unless told otherwise', () => {
    expect(read()).toEqual({
      order: {
        seed: undefined,
        from: 1,
        seeds: 200,
        steps: 1200,
        isKept: false,
        keepsGoing: false,
        crashesEachStep: false,
        broken: undefined,
      },
    })
  })

  it('takes what the help shows', () => {
    const text = read('--help')
    const examples = 'help' in text ? [...text.help.matchAll(/^ {2}npm run simulate -- (.*)$/gm)] : []
    expect(examples.length).toBeGreaterThan(2)
    for (const [, example = ''] of examples) expect(read(...example.split(' '))).toHaveProperty('order')
  })

  it('takes a seed together with a break, and with each step', () => {
    expect(read('--break', 'deletion-lost', '--seed', '5')).toHaveProperty('order.seed', 5)
    expect(read('--seed', '0', '--each-step')).toHaveProperty('order.crashesEachStep', true)
    expect(read('--break', 'all', '--seeds', '9')).toHaveProperty('order.seeds', 9)
  })

  it.each([['--help'], ['-h'], ['--seed', 'x', '--help']])(
    'shows every option and break with %j',
    (...args) => {
      const text = read(...args)
      const help = 'help' in text ? text.help : ''
      const options = ['seeds', 'from', 'seed', 'kept', 'steps', 'keep-going', 'each-step', 'break', 'help']
      for (const name of options) expect(help).toContain(`--${name} `.trim())
      for (const name of NAMES) expect(help).toContain(name)
    },
  )

  it.each([
    [['--seeds', 'many'], /--seeds is a whole number from 1 to \d+, not many/],
    [['--seeds', '0'], /--seeds .* not 0/],
    [['--seeds='], /--seeds .* not empty/],
    [['--seed', '1e3'], /--seed .* not 1e3/],
    [['--seed', '4294967296'], /--seed .* to 4294967295, not 4294967296/],
    [['--from', '1.5'], /--from .* not 1\.5/],
    [['--from=-1'], /--from .* not -1/],
    [['--steps', 'NaN'], /--steps .* not NaN/],
    [['--break', 'nothing'], /no break nothing.* all.* deletion-lost/],
    [['--sed', '3'], /--sed/],
    [['--seed'], /--seed/],
    [['--kept=yes'], /--kept/],
    [['118'], /118/],
    [['--seed', '3', '--kept'], /--seed goes without --kept/],
    [['--seed', '3', '--seeds', '4'], /--seed goes without --seeds/],
    [['--break', 'all', '--each-step'], /--break goes without --each-step/],
  ])('says what is wrong with %j, and where to look', (args, complaint) => {
    const result = read(...args)
    const text = 'complaint' in result ? result.complaint : ''
    expect(text).toMatch(complaint)
    expect(text).toContain('npm run simulate -- --help')
  })
})
