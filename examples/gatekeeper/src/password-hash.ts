/** Passwords as they are stored: scrypt, each with a salt and the costs it was made with. */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'

// One of the equal choices that OWASP recommends: 32 MiB, three times.
const LOG2_N = 15
const BLOCK_SIZE = 8
const PARALLELISM = 3
const KEY_BYTES = 32
const SALT_BYTES = 16

/** Makes the text to be stored; two of the same password differ. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const key = await derive(password, salt, LOG2_N, BLOCK_SIZE, PARALLELISM)
  return ['scrypt', LOG2_N, BLOCK_SIZE, PARALLELISM, salt.toString('base64'), key.toString('base64')].join(
    '$',
  )
}

/** Whether it is the password that `stored` was made of. Takes as long for a wrong one. */
export async function isPassword(password: string, stored: string): Promise<boolean> {
  const [kind, log2N, blockSize, parallelism, salt = '', key = ''] = stored.split('$')
  if (kind !== 'scrypt') throw new Error('A stored password is not of a kind that is known here')
  const expected = Buffer.from(key, 'base64')
  const actual = await derive(
    password,
    Buffer.from(salt, 'base64'),
    Number(log2N),
    Number(blockSize),
    Number(parallelism),
  )
  return timingSafeEqual(actual, expected)
}

function derive(
  password: string,
  salt: Buffer,
  log2N: number,
  blockSize: number,
  parallelism: number,
): Promise<Buffer> {
  const N = 2 ** log2N
  const options: ScryptOptions = { N, r: blockSize, p: parallelism, maxmem: 256 * N * blockSize }
  return new Promise((resolve, reject) => {
    // The same characters may be typed as different bytes.
    scrypt(password.normalize('NFC'), salt, KEY_BYTES, options, (error, key) => {
      // Where there is none, Node says null and Bun undefined.
      if (error) reject(error)
      else resolve(key)
    })
  })
}
