/** `npm run example:chat`: runs the app until it is told to end. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startApp } from './app-server.ts'
import { fakeModel } from './fake-model.ts'

const FLAGS = 'Flags: --port <number>, --data-dir <folder>, --token-ms <milliseconds>'

interface Settings {
  readonly port: number
  readonly dataDir: string
  readonly tokenMs: number
}

/** The user can put it right. */
class UsageError extends Error {}

function readSettings(): Settings {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '4438' },
        'data-dir': { type: 'string', default: join(import.meta.dirname, '..', 'data') },
        'token-ms': { type: 'string', default: '80' },
      },
    })
    return {
      port: wholeNumber('port', values.port, 65_535),
      dataDir: values['data-dir'],
      tokenMs: wholeNumber('token-ms', values['token-ms'], 60_000),
    }
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}. ${FLAGS}`)
  }
}

function wholeNumber(name: string, text: string, most: number): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number <= most) return number
  throw new RangeError(`--${name} is a whole number from 0 to ${most}, not ${text}`)
}

/** What to say about a failure: advice where the user can put it right, everything that is known otherwise. */
function toMessage(error: unknown): unknown {
  if (error instanceof UsageError) return error.message
  if (!(error instanceof Error)) return error
  if ('code' in error && error.code === 'EADDRINUSE') {
    return `${error.message}. Say --port 0 for a free port.`
  }
  return error.name === 'DiskLocked' ? `${error.message} Say --data-dir for another folder.` : error
}

try {
  const { port, dataDir, tokenMs } = readSettings()
  const app = await startApp({ dataDir, port, model: fakeModel(tokenMs), onError: console.error })
  console.log(`Chat on ${app.url} (its streams are in ${dataDir}; stop with Ctrl-C)`)
  const stop = (): void => void app.close()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
} catch (error) {
  console.error(toMessage(error))
  process.exitCode = 1
}
