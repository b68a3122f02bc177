import { nodeServer } from './server-commands.ts'
import { runSuite } from './suite-run.ts'

runSuite(nodeServer('file-fast'))
