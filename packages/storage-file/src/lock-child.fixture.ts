/** A process that takes a data directory, says whether it got it, and stays until it is ended. */
import { nodeDisk } from './node-disk.ts'

try {
  await nodeDisk(process.argv[2] ?? '').lock()
  console.log('locked')
} catch (error) {
  console.log(error instanceof Error ? `${error.name}: ${error.message}` : error)
}
// Ends with the test, however that ends.
process.stdin.resume().once('end', () => process.exit())
