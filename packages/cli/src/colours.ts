/** Colours, for people: on a terminal or where `FORCE_COLOR` asks for them, never where `NO_COLOR` forbids them. */
import type { WriteStream } from 'node:tty'
import pc from 'picocolors'

/** The colours for what is written to a stream; they change nothing where there should be none. */
export function coloursFor(stream: Pick<WriteStream, 'isTTY'>): ReturnType<typeof pc.createColors> {
  const { NO_COLOR = '', FORCE_COLOR = '', TERM } = process.env
  const isForced = FORCE_COLOR !== '' && FORCE_COLOR !== '0'
  const isTerminal = stream.isTTY === true && TERM !== 'dumb'
  return pc.createColors(NO_COLOR === '' && (isForced || isTerminal))
}
