/** Who is logged in. The cookie is random and known to its browser only; the table has its hash. */
import { createHash, randomBytes } from 'node:crypto'
import type { Pool } from 'pg'
import type { User } from './accounts.ts'

/** How long somebody stays logged in, in seconds. */
export const SESSION_SECONDS: number = 7 * 24 * 3600

/** Sessions by their cookies. */
export class Sessions {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** The value of the cookie; `undefined` if the user has been deleted meanwhile. */
  async begin(userId: string): Promise<string | undefined> {
    const cookie = randomBytes(32).toString('base64url')
    await this.#pool.query('DELETE FROM sessions WHERE expires_at < now()')
    const { rowCount } = await this.#pool.query(
      `INSERT INTO sessions (cookie_hash, user_id, expires_at)
       SELECT $1, id, now() + make_interval(secs => $3) FROM users WHERE id = $2`,
      [hashOf(cookie), userId, SESSION_SECONDS],
    )
    return rowCount === 1 ? cookie : undefined
  }

  /**
   * Whose session it is. Comparing hashes takes a time that tells nothing about the cookie: who tries cookies cannot
   * choose their hashes.
   */
  async userOf(cookie: string): Promise<User | undefined> {
    const { rows } = await this.#pool.query<User>(
      `SELECT users.id, users.name FROM sessions JOIN users ON users.id = sessions.user_id
       WHERE cookie_hash = $1 AND expires_at > now()`,
      [hashOf(cookie)],
    )
    return rows[0]
  }

  /** Ending one that is over already changes nothing. */
  async end(cookie: string): Promise<void> {
    await this.#pool.query('DELETE FROM sessions WHERE cookie_hash = $1', [hashOf(cookie)])
  }
}

function hashOf(cookie: string): Buffer {
  return createHash('sha256').update(cookie).digest()
}
