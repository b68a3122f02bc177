/** `millrace append` while the server goes away and comes back: every message is stored once and in order. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileStorage } from '@millrace/storage-file'
import { expect, test } from 'vitest'
import { startStreamWorld } from './stream-process.fixture.ts'

test('(C-183) a server that restarts in the middle gets every line once, and in order', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-lost-'))
  const first = await startStreamWorld({ storage: fileStorage({ dataDir }) })
  await first.good(['create', 'kept', '--content-type', 'json'])
  const tail = first.begin(['tail', 'kept', '--offset', '-1'])
  const append = first.begin(['append', 'kept', '--json'])
  append.child.stdin?.write('1\n2\n')
  await tail.printed('2\n')
  const isLost = new Promise<void>((resolve) => append.child.stderr?.once('data', () => resolve()))
  await first.close()
  append.child.stdin?.write('3\n')
  await isLost
  append.child.stdin?.end('4\n5\n')
  const second = await startStreamWorld({ port: first.server.port, storage: fileStorage({ dataDir }) })
  const appended = await append.over
  await second.good(['close', 'kept', '"end"'])
  const followed = await tail.over
  await second.close()
  rmSync(dataDir, { recursive: true })

  expect([appended.code, appended.stderr]).toEqual([0, 'The server does not answer: trying again.\n'])
  expect(JSON.parse(appended.stdout)).toMatchObject({ messages: 5 })
  expect([followed.code, followed.stdout]).toEqual([0, '1\n2\n3\n4\n5\n"end"\n'])
})
