/** The examples of docs/authentication.md are what the server takes. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ApiKeys } from './auth-api-keys.ts'
import { authenticationOf } from './auth-config.ts'
import { AccessTable } from './auth-rules.ts'
import { grantsOfClaims } from './auth-scopes.ts'
import { loadConfig } from './load-config.ts'

const text = readFileSync(new URL('../../../docs/authentication.md', import.meta.url), 'utf8')

function examples(language: string): readonly string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].flatMap(([, name, body = '']) =>
    name === language ? [body] : [],
  )
}

it('configurations say how it is known who asks', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-auth-'))
  try {
    const modes: string[] = []
    for (const example of examples('toml')) {
      const file = join(folder, 'example.toml')
      await writeFile(file, example)
      const made = authenticationOf(await loadConfig({ directory: folder, environment: {}, file }))
      modes.push(typeof made === 'object' ? Object.keys(made).join(' ') : String(made))
    }
    expect(modes).toEqual(['apiKeys', 'jwt rules', 'jwt', 'jwt', 'trustedHeader rules'])
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('files of keys and rules, and claims of tokens, can be used', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-auth-'))
  const errors: unknown[] = []
  try {
    const opened: string[] = []
    for (const example of examples('json')) {
      const file = join(folder, 'example.json')
      await writeFile(file, example)
      const parsed: unknown = JSON.parse(example)
      const members = Object.entries(parsed ?? {}).map(([name]) => name)
      if (members.includes('keys')) await new ApiKeys({ file }, (error) => errors.push(error)).open()
      else if (members.includes('rules'))
        await new AccessTable({ file }, (error) => errors.push(error)).open()
      else expect(grantsOfClaims(Object.fromEntries(Object.entries(parsed ?? {})))).toHaveLength(3)
      opened.push(members.join(' '))
    }
    expect([opened, errors]).toEqual([['keys', 'sub exp scope streams', 'rules'], []])
  } finally {
    await rm(folder, { recursive: true })
  }
})
