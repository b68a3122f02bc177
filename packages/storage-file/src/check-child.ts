/**
 * A process that looks at a data directory for another one. It reads LMDB, whose damaged pages may end a process: so
 * this one may end, and whoever started it takes that for an answer.
 */
import { checkData } from './check-data.ts'
import { type CheckMessage, type CheckTask, NEXT } from './check-task.ts'
import type { Disk } from './disk.ts'
import { type CheckCounts, type CheckReport, NO_COUNTS } from './finding.ts'
import { hasData } from './format.ts'
import { checkHomePages } from './home-pages.ts'
import { EMPTY_HOME } from './home-walk.ts'
import { inspectData } from './inspect-data.ts'
import { readLmdbHome } from './lmdb-home.ts'
import { nodeDisk } from './node-disk.ts'

/** Whoever asks takes silence for a hang. */
const SIGN_OF_LIFE_MS = 200

class SentReport implements CheckReport {
  counts: CheckCounts = NO_COUNTS
  #doneBytes = 0
  #saidAtMs = 0

  find(finding: Parameters<CheckReport['find']>[0]): void {
    void send({ kind: 'finding', finding })
  }

  count(what: keyof CheckCounts, by = 1): void {
    this.counts = { ...this.counts, [what]: this.counts[what] + by }
  }

  async progress(bytes: number): Promise<void> {
    this.#doneBytes += bytes
    const nowMs = performance.now()
    if (nowMs - this.#saidAtMs < SIGN_OF_LIFE_MS) return
    this.#saidAtMs = nowMs
    await send({ kind: 'progress', doneBytes: this.#doneBytes })
  }
}

/** Resolves when the message is on its way. */
function send(message: CheckMessage): Promise<void> {
  return new Promise((resolve) => {
    // Without anybody to hear it there is nothing left to do.
    if (process.send === undefined) process.exit()
    process.send(message, undefined, undefined, () => resolve())
  })
}

type OpenHome = Awaited<ReturnType<typeof readLmdbHome>>

async function openHome(disk: Disk, dataDir: string): Promise<OpenHome> {
  const isNew = !(await hasData(disk)) && !(await disk.list('')).includes('home')
  if (isNew) return { ...EMPTY_HOME, close: async () => undefined }
  return readLmdbHome(`${dataDir}/home`)
}

async function run(task: CheckTask): Promise<void> {
  const disk = nodeDisk(task.dataDir)
  const report = new SentReport()
  const home = await openHome(disk, task.dataDir)
  if (task.kind === 'verify') {
    if (home.entryCount !== 0) await checkHomePages(disk, report)
    await checkData(disk, home, report)
    await send({ kind: 'done', counts: report.counts })
  } else {
    const overview = await inspectData(disk, home, task, tellStreams, report)
    await send({ kind: 'done', counts: report.counts, overview })
  }
  await home.close()
}

async function tellStreams(rows: Parameters<Parameters<typeof inspectData>[3]>[0]): Promise<void> {
  const taken = new Promise<void>((resolve) => {
    process.once('message', (message) => {
      if (message === NEXT) resolve()
    })
  })
  await send({ kind: 'streams', rows })
  await taken
}

process.once('disconnect', () => process.exit())
process.once('message', (task: CheckTask) => {
  run(task)
    .catch((error) =>
      send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
    )
    .finally(() => process.exit())
})
