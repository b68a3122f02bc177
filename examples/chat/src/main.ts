/** `npm run example:chat`: runs the app until it is told to end. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startApp } from './app-server.ts'
import { fakeModel } from './fake-model.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4438' },
    'data-dir': { type: 'string', default: join(import.meta.dirname, '..', 'data') },
    'token-ms': { type: 'string', default: '80' },
  },
})

function wholeNumber(name: string, text: string, most: number): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number <= most) return number
  throw new RangeError(`--${name} is a whole number from 0 to ${most}, not ${text}.`)
}

/** Null for failures that the user cannot put right. */
function advice(error: unknown): string | null {
  if (error instanceof RangeError) return error.message
  if (!(error instanceof Error)) return null
  if ('code' in error && error.code === 'EADDRINUSE') {
    return `Port ${values.port} is taken. Say --port 0 for a free one.`
  }
  return error.name === 'DiskLocked' ? `${error.message} Say --data-dir for another folder.` : null
}

try {
  const app = await startApp({
    dataDir: values['data-dir'],
    port: wholeNumber('port', values.port, 65_535),
    model: fakeModel(wholeNumber('token-ms', values['token-ms'], 60_000)),
    onError: (error) => console.error(error),
  })
  console.log(`Chat on ${app.url} (its streams are in ${values['data-dir']}; stop with Ctrl-C)`)
  const stop = (): void => void app.close()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
} catch (error) {
  console.error(advice(error) ?? error)
  process.exitCode = 1
}
