/** The configuration keys of authentication. */
import type { ConfigKey } from './config-keys.ts'
import type { ValueKind } from './config-value.ts'

const text: ValueKind = { kind: 'text' }
const list: ValueKind = { kind: 'list' }

/** Who is let in, and how it is known who asks. */
export const AUTH_KEYS: readonly ConfigKey[] = [
  {
    name: 'auth.mode',
    kind: { kind: 'list', of: ['none', 'jwt', 'keys', 'header'] },
    about:
      'How it is known who asks: none (everybody may do everything), or any of jwt, keys (API keys) and header (a trusted proxy). Other addresses than loopback need a choice.',
  },
  {
    name: 'auth.api_keys_file',
    kind: text,
    about: 'JSON file of the API keys, {"keys": [{"id", "hash", "scopes"}]}; read again when it changes.',
  },
  {
    name: 'auth.rules_file',
    kind: text,
    about: 'JSON file of the rules, {"rules": [{"who", "paths", "operations"}]}; read again when it changes.',
  },
  {
    name: 'auth.jwt.jwks_url',
    kind: text,
    about: 'URL of the public keys (JWKS) that tokens are checked with.',
  },
  { name: 'auth.jwt.jwks_file', kind: text, about: 'The same in a file; read again when it changes.' },
  {
    name: 'auth.jwt.secret',
    kind: text,
    about: 'Secret of at least 32 bytes that tokens are signed with (HS256), instead of public keys.',
    isSecret: true,
  },
  {
    name: 'auth.jwt.algorithms',
    kind: { kind: 'list', of: ['HS256', 'RS256', 'ES256', 'EdDSA'] },
    about: 'Algorithms that tokens may be signed by; all that suit the keys unless given.',
  },
  {
    name: 'auth.jwt.issuer',
    kind: list,
    about: 'What iss of a token must be one of; anything unless given.',
  },
  {
    name: 'auth.jwt.audience',
    kind: list,
    about: 'What aud of a token must have one of; anything unless given.',
  },
  {
    name: 'auth.jwt.leeway_secs',
    kind: { kind: 'duration', leastMs: 0 },
    fallback: 5000,
    about: 'How far the clocks of issuer and server may differ.',
  },
  {
    name: 'auth.header.scopes_header',
    kind: text,
    about: 'Header in which a trusted proxy gives scopes; proxy.identity.header_name is the one of the user.',
  },
]
