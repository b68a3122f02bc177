/** The documentation of the configuration: the list of keys is made of their table, and examples are sound. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CONFIG_KEYS, type ConfigKey, loadConfig, variableOf, writtenValue } from '@millrace/server'
import { expect, test } from 'vitest'

function docs(name: string): string {
  return fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url))
}

function line(key: ConfigKey): string {
  const fallback =
    key.fallback === undefined ? '' : `\`${JSON.stringify(writtenValue(key.kind, key.fallback))}\``
  const remark = key.noEffect === undefined ? '' : ` No effect: ${key.noEffect}.`
  const instead = key.legacyOf === undefined ? '' : ` Now \`${key.legacyOf}\`, which wins.`
  return `| \`${key.name}\` | ${fallback} | ${key.about}${instead}${remark} |`
}

function keyTables(): string {
  const heads = ['| key | default | what it is |', '|---|---|---|']
  const current = CONFIG_KEYS.filter(({ legacyOf }) => legacyOf === undefined)
  const old = CONFIG_KEYS.filter(({ legacyOf }) => legacyOf !== undefined)
  const [first] = current
  return [
    '# Configuration keys',
    '',
    'Made of the table of keys by a test; `npx vitest run --project unit packages/cli/src/config-docs.test.ts -u` writes it',
    'again. How values are written, and where, is in [configuration.md](configuration.md).',
    `The variable of \`${first?.name}\` is \`${first && variableOf(first)}\`, and so on.`,
    '',
    ...heads,
    ...current.map(line),
    '',
    '## Old names',
    '',
    ...heads,
    ...old.map(line),
    '',
  ].join('\n')
}

test('docs/configuration-keys.md lists every key', async () => {
  await expect(keyTables()).toMatchFileSnapshot(docs('configuration-keys.md'))
})

test('the examples of docs/configuration.md are sound', async () => {
  const examples = [...readFileSync(docs('configuration.md'), 'utf8').matchAll(/^```toml\n([\s\S]*?)^```/gm)]
  const folder = await mkdtemp(join(tmpdir(), 'millrace-docs-'))
  try {
    for (const [, example = ''] of examples) {
      const file = join(folder, 'example.toml')
      await writeFile(file, example)
      const config = await loadConfig({ directory: folder, environment: {}, file })
      expect(config.notes).toEqual([])
      expect(config.values.some(({ place }) => place.startsWith(file))).toBe(true)
    }
    expect(examples.length).toBeGreaterThan(5)
  } finally {
    await rm(folder, { recursive: true })
  }
})
