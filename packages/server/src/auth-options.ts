/** How a server is told who may do what: the shapes of `HandlerOptions.authentication`. */

/** What can be done with a stream; forking is `create` on the fork and `read` on its source. */
export const OPERATIONS = ['create', 'append', 'read', 'close', 'delete', 'subscribe', 'admin'] as const

/** One of them. */
export type Operation = (typeof OPERATIONS)[number]

/** Operations on streams; `*` is each of them but `admin`, which has to be named. */
export interface Permission {
  /** Patterns of stream paths, such as `orders/*`, `orders/**` or `users/{sub}/**`. */
  readonly paths: readonly string[]
  readonly operations: readonly (Operation | '*')[]
}

/** A permission for whoever it names, whatever their credentials say. */
export interface AccessRule extends Permission {
  /**
   * `anyone`: with and without credentials. `authenticated`: everybody with valid ones. `subject:` and the user's
   * name, or `key:` and the id of an API key.
   */
  readonly who: 'anyone' | 'authenticated' | `subject:${string}` | `key:${string}`
}

/** Signature algorithms of tokens. HS256 goes with a shared secret only, the others with public keys only. */
export type TokenAlgorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA'

/** Where the keys are that tokens are checked with. */
export type TokenKeys =
  /** A JWKS at an https URL (http on loopback only); fetched again when a token names a key that is not in it. */
  | { readonly jwksUrl: string }
  /** A JWKS in a file, read again when it changes. */
  | { readonly jwksFile: string }
  /** A secret of at least 32 bytes that whoever makes tokens has as well. */
  | { readonly secret: string }

/** Which JSON Web Tokens are accepted, as `Authorization: Bearer`. A token without `exp` never is. */
export interface JwtOptions {
  readonly keys: TokenKeys
  /** All that suit the keys unless given. */
  readonly algorithms?: readonly TokenAlgorithm[]
  /** What `iss` must be; anything unless given. */
  readonly issuer?: string | readonly string[]
  /** What `aud` must contain; anything unless given. Give it wherever the issuer serves others too. */
  readonly audience?: string | readonly string[]
  /** How far the clocks of issuer and server may differ, in seconds; 5 unless given. */
  readonly leewaySeconds?: number
}

/** An API key as the server keeps it: its hash tells nothing about the key. */
export interface ApiKey {
  readonly id: string
  /** SHA-256 of the whole key, in hex. */
  readonly hash: string
  /** Scopes such as `read:orders/**`, or permissions. */
  readonly scopes: readonly (string | Permission)[]
}

/** Users named by a proxy in front, which has checked who they are. */
export interface TrustedHeaderOptions {
  /** Header with the user's name; the proxy must overwrite what clients send. */
  readonly userHeader: string
  /** Header with scopes such as `read:orders/** append:orders/1`. */
  readonly scopesHeader?: string
  /** Addresses and CIDR ranges of proxies; the headers of anybody else are ignored. */
  readonly trustedProxies: readonly string[]
  /** Only over mutual TLS, with a client certificate that was verified. True unless given. */
  readonly requireTls?: boolean
}

/** Who is let in and what they may do. What is not permitted is refused. */
export interface AuthenticationOptions {
  readonly jwt?: JwtOptions
  /** The keys, or the JSON file that lists them as `{"keys": [...]}` and is read again when it changes. */
  readonly apiKeys?: readonly ApiKey[] | { readonly file: string }
  readonly trustedHeader?: TrustedHeaderOptions
  /** The rules, or the JSON file that lists them as `{"rules": [...]}` and is read again when it changes. */
  readonly rules?: readonly AccessRule[] | { readonly file: string }
}

/** `none`: everybody who can reach the server may do everything. */
export type Authentication = 'none' | AuthenticationOptions
