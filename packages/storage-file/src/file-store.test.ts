import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storageContract } from '@millrace/engine/contract'
import { afterAll, describe, expect, it } from 'vitest'
import { fileStorage } from './file-storage.ts'

const folders: string[] = []

afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

for (const durability of ['file-durable', 'file-fast'] as const) {
  storageContract({ describe, it, expect }, durability, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'millrace-'))
    folders.push(dataDir)
    return fileStorage({
      dataDir,
      durability,
      limits: { segmentBytes: 16 * 1024 * 1024, checkpointReserveBytes: 1024 * 1024 },
    })
  })
}
