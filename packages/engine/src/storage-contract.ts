/**
 * The storage contract: what every backend has to do, as a suite that runs on any of them. A bug found in one
 * backend becomes a case here. The test framework is a parameter: nothing of it is imported.
 */

import { commitCases } from './contract-commits.ts'
import { listingCases } from './contract-listing.ts'
import { readCases } from './contract-reads.ts'
import type { ContractCase, ContractGroup, ContractSuite } from './contract-stream.ts'
import { touchCases } from './contract-touch.ts'
import type { StreamStorage } from './storage.ts'

export type { ContractMatchers, ContractSuite } from './contract-stream.ts'

/**
 * Registers all cases. `open` gives an empty store of the backend each time it is called; the suite closes it.
 * The cases hold for memory, files and databases alike: they await everything and ask for no turn of their own.
 */
export function storageContract(
  suite: ContractSuite,
  name: string,
  open: () => Promise<StreamStorage>,
): void {
  const check = (title: string, body: ContractCase, timeoutMs?: number): void => {
    suite.it(title, () => withStore(open, body), timeoutMs)
  }
  const group: ContractGroup = { suite, check }
  suite.describe(`the storage contract: ${name}`, () => {
    suite.describe('commits', () => commitCases(group))
    suite.describe('reads', () => readCases(group))
    suite.describe('listing and due times', () => listingCases(group))
    suite.describe('touches', () => touchCases(group))
  })
}

async function withStore(open: () => Promise<StreamStorage>, body: ContractCase): Promise<void> {
  const storage = await open()
  try {
    await body(storage)
  } finally {
    await storage.close()
  }
}
