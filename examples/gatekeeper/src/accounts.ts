/** The users of the app. */
import type { Pool } from 'pg'
import { hashPassword, isPassword } from './password-hash.ts'

/** Who somebody is. The id is what streams are named by: a name may change, and is typed by its owner. */
export interface User {
  readonly id: string
  readonly name: string
}

/** Sign-up, log-in and their end. */
export class Accounts {
  readonly #pool: Pool
  /** What the password of a name that nobody has is compared with, so that it takes as long as any other. */
  readonly #nobodysHash: Promise<string>

  constructor(pool: Pool) {
    this.#pool = pool
    this.#nobodysHash = hashPassword('')
  }

  /** `undefined` if the name is taken. */
  async create(name: string, password: string): Promise<User | undefined> {
    const { rows } = await this.#pool.query<User>(
      'INSERT INTO users (name, password_hash) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id, name',
      [name, await hashPassword(password)],
    )
    return rows[0]
  }

  /** Whose name and password these are; does not tell which of the two is wrong. */
  async withPassword(name: string, password: string): Promise<User | undefined> {
    const { rows } = await this.#pool.query<User & { readonly password_hash: string }>(
      'SELECT id, name, password_hash FROM users WHERE name = $1',
      [name],
    )
    const [found] = rows
    const isRight = await isPassword(password, found?.password_hash ?? (await this.#nobodysHash))
    return found !== undefined && isRight ? { id: found.id, name: found.name } : undefined
  }

  /** By name. */
  async find(name: string): Promise<User | undefined> {
    const { rows } = await this.#pool.query<User>('SELECT id, name FROM users WHERE name = $1', [name])
    return rows[0]
  }

  /** With all sessions of the user. */
  async remove(id: string): Promise<void> {
    await this.#pool.query('DELETE FROM users WHERE id = $1', [id])
  }
}
