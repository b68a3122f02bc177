/** A server that the network can reach says who may use it, or does not start. */
import { isLoopbackName } from './access-rules.ts'
import type { Authentication } from './auth-options.ts'

/** Why a server must not listen on an address; `undefined` if it may. `none` is a decision, nothing at all is not. */
export function openDoor(host: string, authentication: Authentication | undefined): string | undefined {
  const name = host.includes(':') ? `[${host}]` : host
  if (authentication !== undefined || isLoopbackName(name)) return undefined
  return (
    `Others can reach ${host}: say who may use this server with authentication (auth.mode), ` +
    "or set it to 'none' (--auth none) to let everybody read and write. Or listen on 127.0.0.1."
  )
}
