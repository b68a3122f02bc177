export { FaultyDisk, type FaultyDiskOptions } from './faulty-disk.ts'
export { MemoryHome, type MemoryHomeOptions } from './memory-home.ts'
