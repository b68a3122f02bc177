import { bunServer } from './server-commands.ts'
import { runSuite } from './suite-run.ts'

runSuite(bunServer('file-fast'))
