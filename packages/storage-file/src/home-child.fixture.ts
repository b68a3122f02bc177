/**
 * A process that commits to a home until it is ended: every commit gives all of its keys the number of the commit,
 * and the number is written out once the commit has resolved. Ends by itself when a commit is refused. Its last argument
 * is what it is to take for the free space.
 */
import { writeSync } from 'node:fs'
import { lmdbHome } from './lmdb-home.ts'

const [, , folder = '', count = '', from = '', free] = process.argv
const home = await lmdbHome(folder, free === undefined ? {} : { freeBytes: async () => Number(free) })
process.stdin.resume().once('end', () => process.exit())

for (let turn = Number(from); ; turn++) {
  const padding = '.'.repeat(turn % 300)
  const changes = Array.from({ length: Number(count) }, (_, index) => {
    return [`k/${index}`, Buffer.from(`${turn}${padding}`)] as const
  })
  try {
    await home.commit([...changes, [`t/${turn}`, Buffer.from('.')], [`t/${turn - 20}`, undefined]])
  } catch (error) {
    const again = await home.commit([['small', Buffer.from('.')]]).then(
      () => 'taken',
      () => 'refused',
    )
    const isReadable = home.get('k/0') !== undefined
    writeSync(1, `${error instanceof Error ? error.name : error}, next ${again}, readable ${isReadable}\n`)
    process.exit()
  }
  writeSync(1, `${turn}\n`)
}
