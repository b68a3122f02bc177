/** Issuers of tokens for the tests of authentication, and servers that believe them. */
import { createServer, type Server } from 'node:http'
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'

/** The secret of the servers that share one with their issuer. */
export const SECRET = 'a secret that is long enough: 32 bytes and more'

/** Signs claims with a shared secret; the token lasts ten minutes unless the claims say otherwise. */
export function secretToken(claims: JWTPayload, secret: string = SECRET): Promise<string> {
  return signed(new SignJWT(withExpiry(claims)).setProtectedHeader({ alg: 'HS256' }), encoded(secret))
}

/** Whatever jose takes as a key, given to it as it is. */
export function signed(token: SignJWT, key: CryptoKey | Uint8Array): Promise<string> {
  return token.sign(key)
}

export function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Seconds since the epoch, this far from now. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

export function withExpiry(claims: JWTPayload): JWTPayload {
  return { exp: inSeconds(600), ...claims }
}

/** Sent as a credential. */
export function bearer(credential: string): { readonly authorization: string } {
  return { authorization: `Bearer ${credential}` }
}

/** A pair of keys under an id. */
export interface IssuerKey {
  readonly jwk: JWK
  /** The public half as PEM, which everybody can get at. */
  readonly pem: string
  token(claims: JWTPayload, header?: object): Promise<string>
}

/** Makes a pair of keys. */
export async function makeIssuerKey(kid: string, alg: 'RS256' | 'ES256' | 'EdDSA'): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg },
    pem: await exportSPKI(publicKey),
    token: (claims, header = {}) =>
      signed(new SignJWT(withExpiry(claims)).setProtectedHeader({ alg, kid, ...header }), privateKey),
  }
}

/** An issuer's JWKS over HTTP; `answer` may be changed. */
export interface KeyServer {
  readonly url: string
  keys: readonly JWK[]
  status: number
  /** Requests so far. */
  asked(): number
  close(): Promise<void>
}

/** Serves keys on loopback. */
export async function serveKeys(keys: readonly JWK[]): Promise<KeyServer> {
  let asked = 0
  const server: Server = createServer((_request, response) => {
    asked++
    response.writeHead(served.status, { 'Content-Type': 'application/json', Connection: 'close' })
    response.end(JSON.stringify({ keys: served.keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const served: KeyServer = {
    url: `http://127.0.0.1:${port}/jwks.json`,
    keys,
    status: 200,
    asked: () => asked,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
  return served
}
