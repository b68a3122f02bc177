/** The connection pool, with the tables in place. Every query has its values as parameters, never in its text. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Pool, type PoolClient, type PoolConfig } from 'pg'

/** Connects and makes the tables that are missing; rejects if either fails. */
export async function openDatabase(config: PoolConfig, onError: (error: unknown) => void): Promise<Pool> {
  const pool = new Pool(config)
  // A connection that breaks while nobody uses it is replaced; without a listener it would end the process.
  pool.on('error', onError)
  try {
    await pool.query(await readFile(join(import.meta.dirname, '..', 'schema.sql'), 'utf8'))
  } catch (error) {
    await pool.end()
    throw error
  }
  return pool
}

/** Resolves when the database has no connection of the pool any more; `end` alone does not wait for the last ones. */
export async function closeDatabase(pool: Pool): Promise<void> {
  let open = pool.totalCount
  const closed = new Promise<void>((resolve) => {
    if (open === 0) resolve()
    pool.on('remove', () => {
      open -= 1
      if (open === 0) resolve()
    })
  })
  await pool.end()
  await closed
}

/** Everything that `work` does happens, or nothing. */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
    throw error
  } finally {
    // A connection in the middle of a transaction is closed, which rolls it back.
    client.release(failure)
  }
}
