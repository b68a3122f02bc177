/** How commands that look at a data directory say that they could not. */
import { afterEach, expect, it, vi } from 'vitest'
import { lookAtStore } from './store-command.ts'

afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = undefined
})

it('says to users without the rights who may look at a data directory', async () => {
  const told = vi.spyOn(console, 'error').mockReturnValue(undefined)
  const denied = { code: 'EACCES', syscall: 'stat', path: '/srv/streams/FORMAT' }
  await lookAtStore(() => Promise.reject(Object.assign(new Error('EACCES: permission denied'), denied)))

  expect(told).toHaveBeenCalledWith(
    expect.stringMatching(/^This user may not read \/srv\/streams\/FORMAT: run the command as the user/),
  )
  expect(process.exitCode).toBe(2)
})
