/**
 * `millrace serve` with sizes so small that checkpoints, full block files and retired segments happen all the time.
 * Takes `--storage` and `--data-dir` of the command's flags, and passes over the others; `--limits` changes the sizes.
 */
import { parseArgs } from 'node:util'
import { loadConfig } from '@millrace/server'
import { fileStorage } from '@millrace/storage-file'
import { serveMode } from './serve.ts'
import { findMode } from './storage-mode.ts'

const KIB = 1024

const SMALL = {
  segmentBytes: 1024 * KIB,
  reserveBytes: 8 * KIB,
  blockBytes: 4 * KIB,
  blockFileBytes: 256 * KIB,
  checkpointBytes: 64 * KIB,
  checkpointRecords: 50,
  checkpointAfterMs: 30,
  transactionChanges: 20,
  openBlockFiles: 2,
  blockCacheBytes: 16 * KIB,
  syncAfterMs: 50,
}

const { values } = parseArgs({
  options: {
    storage: { type: 'string', default: 'file-durable' },
    'data-dir': { type: 'string' },
    limits: { type: 'string', default: '{}' },
  },
  strict: false,
})
const { storage, 'data-dir': dataDir } = values
const named = findMode(String(storage))
if (typeof dataDir !== 'string' || named === undefined) throw new Error('--storage and --data-dir are needed')

const limits = { ...SMALL, ...JSON.parse(String(values.limits)) }
const durability = named.name === 'file-fast' ? 'file-fast' : 'file-durable'
const config = await loadConfig({
  environment: {},
  address: { port: 0 },
  overrides: { 'storage.mode': named.name, 'storage.data_dir': dataDir },
})
await serveMode(config, {
  ...named,
  open: ({ maxMemoryBytes: _, ...options }) => fileStorage({ durability, limits, ...options }),
})
