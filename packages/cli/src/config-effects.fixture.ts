/** Servers in this process, made of configuration files and variables as `serve` makes them, and what they do. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as secureConnect } from 'node:tls'
import {
  ConfigError,
  createServer,
  type LoadedConfig,
  loadConfig,
  type MillraceServer,
  serverOptionsOf,
} from '@millrace/server'
import { generate } from 'selfsigned'
import { findMode, openOptionsOf } from './storage-mode.ts'

/** What a configuration is made of. */
export interface Sources {
  readonly profile?: string
  /** By name, below `config/`. */
  readonly files: Readonly<Record<string, string>>
  readonly environment: Readonly<Record<string, string>>
}

/** A server with the configuration it was made of. */
export interface Served {
  readonly config: LoadedConfig
  readonly server: MillraceServer
  /** Directory in which `config/` is, and `data/` if the store is in files. */
  readonly folder: string
}

/** Starts a server, uses it, and removes everything; `'refused'` if the configuration has contradictions. */
export async function withServer<T>(
  folder: string,
  { profile, files, environment }: Sources,
  use: (served: Served) => Promise<T>,
): Promise<T | 'refused'> {
  const directory = mkdtempSync(join(folder, 'served-'))
  mkdirSync(join(directory, 'config'))
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(directory, 'config', `${name}.toml`), text)
  const sources = { directory, environment, ...(profile !== undefined && { profile }) }
  const config = await loadConfig(sources).catch((error: unknown) => {
    if (error instanceof ConfigError) return undefined
    throw error
  })
  if (config === undefined) return 'refused'
  const options = optionsOf(config)
  if (options === undefined) return 'refused'
  const server = await startServer(config, options, directory)
  try {
    return await use({ config, server, folder: directory })
  } finally {
    await server.close()
  }
}

/** `undefined` where keys contradict each other. */
function optionsOf(config: LoadedConfig): ReturnType<typeof serverOptionsOf> | undefined {
  try {
    return serverOptionsOf(config)
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}

async function startServer(
  config: LoadedConfig,
  options: ReturnType<typeof serverOptionsOf>,
  directory: string,
): Promise<MillraceServer> {
  const mode = findMode(String(config.get('storage.mode')))
  if (mode === undefined) throw new Error('there is no such mode')
  const { dataDir, ...rest } = openOptionsOf(config)
  const hooks = { onRecovered: () => undefined, onPoisoned: () => undefined }
  const storage = await mode.open({ dataDir: join(directory, dataDir), ...rest, ...hooks })
  return createServer({ ...options, storage, onError: () => undefined })
}

/** A folder for servers and certificates, and how to remove it. */
export function makeFolder(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-effects-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** Certificate and key in files of a folder. */
export async function makeCertificate(
  folder: string,
): Promise<{ readonly certPath: string; readonly keyPath: string }> {
  const made = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  const [certPath, keyPath] = [join(folder, 'server.pem'), join(folder, 'server.key')]
  writeFileSync(certPath, made.cert)
  writeFileSync(keyPath, made.private)
  return { certPath, keyPath }
}

/** One request. */
export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An answer that has come to its end. */
export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Opens an answer; its body is still to come. */
export function open({ server }: Served, path: string, asked: Asked = {}): Promise<IncomingMessage> {
  const { method = 'GET', headers = {}, body } = asked
  return new Promise((resolve, reject) => {
    const url = server.url + path
    const outgoing = url.startsWith('https:')
      ? secureRequest(url, { agent: false, method, headers, rejectUnauthorized: false }, resolve)
      : request(url, { agent: false, method, headers }, resolve)
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The whole answer to one request. */
export async function ask(served: Served, path: string, asked: Asked = {}): Promise<Answered> {
  const response = await open(served, path, asked)
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode ?? 0, headers: response.headers, text }
}

/** Creates a stream of text. */
export function create(served: Served, path: string, body = ''): Promise<Answered> {
  return ask(served, path, { method: 'PUT', headers: { 'content-type': 'text/plain' }, body })
}

/** What a TLS client with these options comes to: ALPN protocol and TLS version, or `'refused'`. */
export function handshake(
  { server }: Served,
  options: { readonly maxVersion?: 'TLSv1.2'; readonly ALPNProtocols?: string[] } = {},
): Promise<readonly [alpn: unknown, version: unknown] | 'refused'> {
  return new Promise((resolve) => {
    const target = { host: '127.0.0.1', port: server.port, rejectUnauthorized: false }
    const socket = secureConnect({ ...target, ALPNProtocols: ['h2', 'http/1.1'], ...options }, () => {
      resolve([socket.alpnProtocol, socket.getProtocol()])
      socket.destroy()
    })
    socket.on('error', () => resolve('refused'))
  })
}

/** Sends bytes over a bare connection and gives everything that comes back until it is closed. */
export function exchange(server: MillraceServer, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ host: '127.0.0.1', port: server.port })
    socket.on('data', (chunk) => {
      text += chunk
    })
    // A reset is one way of being closed.
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
    socket.write(bytes)
  })
}

/** Whether a request that is complete only after the server was told to stop is still answered. */
export function answeredWhileStopping({ server }: Served): Promise<'answered' | 'cut'> {
  return new Promise((resolve) => {
    const head =
      'PUT /v1/stream/late HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n'
    let text = ''
    const socket = connect({ host: '127.0.0.1', port: server.port })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text.includes('HTTP/1.1 201') ? 'answered' : 'cut'))
    // An answer to the first request says that the server has what came with it of the second.
    socket.write(`HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n${head}abc`)
    socket.once('data', () => {
      const stopped = server.close()
      // A server without grace has cut the connection by then: its timer is due before this one, on the same loop.
      setTimeout(() => socket.writable && socket.write('def'), 200)
      stopped.catch(() => undefined)
    })
    socket.on('data', (chunk) => {
      text += chunk
    })
  })
}
