import { expect, it } from 'vitest'
import { FaultyDisk } from './faulty-disk.ts'
import { OpenFiles } from './open-files.ts'
import { seededRandom } from './seeded-random.fixture.ts'

const NAME = 'blocks/file'

async function diskWithFile(): Promise<FaultyDisk> {
  const disk = new FaultyDisk({ random: seededRandom(1) })
  await disk.makeFolder('blocks')
  const file = await disk.create(NAME)
  await file.write(0, [Buffer.from('bytes')])
  await file.close()
  return disk
}

it('a file that is used after everything was closed is read, and closed again', async () => {
  const disk = await diskWithFile()
  const files = new OpenFiles(disk, 8)
  await files.use(NAME, (file) => file.read(0, 5))
  await files.close()
  const late = await files.use(NAME, (file) => file.read(0, 5))

  expect(Buffer.from(late).toString()).toBe('bytes')
  expect(disk.statistics().openFiles).toBe(0)
})

it('a file that cannot be opened then is told as it is before', async () => {
  const disk = await diskWithFile()
  const files = new OpenFiles(disk, 8)
  await files.close()

  await expect(files.use('blocks/none', (file) => file.size())).rejects.toThrow('there is no blocks/none')
})
