import { configDefaults, defineConfig } from 'vitest/config'

const source = { conditions: ['millrace-source'] }

// One row of the conformance matrix each: the published suite against a server process.
const suiteRows = ['conformance/src/{node,bun}-*.test.ts']

export default defineConfig({
  resolve: source,
  ssr: { resolve: source },
  test: {
    maxWorkers: 2,
    // A busy machine is slow, not wrong.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages/*,examples/*,tidy,bench,conformance,simulation}/src/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...suiteRows],
          sequence: { groupOrder: 0 },
        },
      },
      {
        // After the unit tests: the suite's own time limits are short, so it gets the machine to itself.
        extends: true,
        test: { name: 'conformance', include: suiteRows, sequence: { groupOrder: 1 } },
      },
    ],
  },
})
