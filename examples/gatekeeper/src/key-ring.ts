/** The keys that tokens are signed with, and their rotation. They are in the database: restarts change no key. */
import { exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import type { Pool, PoolClient } from 'pg'
import { inTransaction } from './database.ts'

/** Every platform's cryptography has it, and its signatures are short. */
export const ALGORITHM = 'ES256'

/** A key to sign with. */
export interface SigningKey {
  readonly kid: string
  readonly key: Awaited<ReturnType<typeof importJWK>>
}

/** How keys change. */
export interface KeyRingOptions {
  /** How long a key signs before the next one does, in seconds. */
  readonly rotateAfterSeconds: number
  /** How long a retired key stays published: longer than any token lasts. */
  readonly keepRetiredSeconds: number
}

interface KeyRow {
  readonly kid: string
  readonly private_jwk: JWK
  readonly is_due: boolean
}

/**
 * One key signs and the next one is published with it: whoever checks tokens has a key before the first token is signed
 * with it. A retired key stays published until its last token is over.
 */
export class KeyRing {
  readonly #pool: Pool
  readonly #options: KeyRingOptions

  constructor(pool: Pool, options: KeyRingOptions) {
    this.#pool = pool
    this.#options = options
  }

  /** The key to sign with now; rotates the keys when it is time. */
  async current(): Promise<SigningKey> {
    const row = await this.#current()
    if (row !== undefined && !row.is_due)
      return { kid: row.kid, key: await importJWK(row.private_jwk, ALGORITHM) }
    await this.#rotateFrom(row?.kid)
    return this.current()
  }

  /** The next key signs from now on, and a new one is made to follow it. Not twice within a minute: see the README. */
  async rotate(): Promise<void> {
    await this.#rotateFrom((await this.current()).kid)
  }

  /** What the JWKS says: public halves only. */
  async publicKeys(): Promise<readonly JWK[]> {
    await this.current()
    const { rows } = await this.#pool.query<KeyRow>(
      'SELECT kid, private_jwk FROM signing_keys ORDER BY since',
    )
    return rows.map(({ kid, private_jwk: { kty, crv, x, y } }) => {
      return { kid, alg: ALGORITHM, use: 'sig', kty, crv, x, y } as JWK
    })
  }

  async #current(): Promise<KeyRow | undefined> {
    const { rows } = await this.#pool.query<KeyRow>(
      `SELECT kid, private_jwk, since < now() - make_interval(secs => $1) AS is_due
       FROM signing_keys WHERE state = 'current'`,
      [this.#options.rotateAfterSeconds],
    )
    return rows[0]
  }

  /** Does nothing if another app has been faster. */
  async #rotateFrom(kid: string | undefined): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await client.query("SELECT pg_advisory_xact_lock(hashtext('gatekeeper signing keys'))")
      const { rows } = await client.query<KeyRow>("SELECT kid FROM signing_keys WHERE state = 'current'")
      if (rows[0]?.kid !== kid) return
      await client.query(
        "DELETE FROM signing_keys WHERE state = 'retired' AND since < now() - make_interval(secs => $1)",
        [this.#options.keepRetiredSeconds],
      )
      await client.query("UPDATE signing_keys SET state = 'retired', since = now() WHERE state = 'current'")
      const { rowCount } = await client.query(
        "UPDATE signing_keys SET state = 'current', since = now() WHERE state = 'next'",
      )
      if (rowCount === 0) await insertKey(client, 'current')
      await insertKey(client, 'next')
    })
  }
}

async function insertKey(client: PoolClient, state: 'current' | 'next'): Promise<void> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
  await client.query('INSERT INTO signing_keys (kid, private_jwk, state) VALUES ($1, $2, $3)', [
    crypto.randomUUID(),
    await exportJWK(privateKey),
    state,
  ])
}
