/** What a running server prints: news on stdout, everything else on stderr, each from its level on. */
import { type AnsweredRequest, LOG_LEVELS, type LogLevel, OperatorNotice } from '@millrace/server'
import { coloursFor } from './colours.ts'

/** Says things, or keeps quiet about them. */
export interface Log {
  /** Something failed on this side. */
  error(what: unknown): void
  /** Something that the person who runs the server should change or know. */
  warn(sentence: string): void
  info(text: string): void
  /** One request and how it was answered; absent below `debug`, so that nothing is measured. */
  readonly request?: (answered: AnsweredRequest) => void
}

/** A log that prints what a level and those before it have. */
export function logAt(level: LogLevel): Log {
  const reaches = (least: LogLevel): boolean => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least)
  const { yellow, dim } = coloursFor(process.stderr)
  return {
    error(what) {
      if (reaches('error')) console.error(what instanceof OperatorNotice ? what.message : what)
    },
    warn(sentence) {
      if (reaches('warn')) console.error(yellow(sentence))
    },
    info(text) {
      if (reaches('info')) console.log(text)
    },
    ...(reaches('debug') && { request: (answered) => console.error(dim(requestLine(answered))) }),
  }
}

function requestLine({ method, path, status, elapsedMs }: AnsweredRequest): string {
  // A path may hold what moves a terminal's cursor.
  const shown = path.replace(/[^\x21-\x7e]/g, '?')
  return `${new Date().toISOString()} ${method} ${shown} ${status} ${elapsedMs.toFixed(1)}ms`
}
