/** The parts of the file store that a simulation needs; the one place that reaches for them. */
export { type Durability, type FileStore, openFileStore } from '@millrace/storage-file'
export * from '@millrace/storage-file/simulated'
