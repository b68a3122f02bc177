import { describe, expect, it } from 'vitest'
import { Progress, type ProgressOutput, sizeText } from './progress.ts'

class Screen implements ProgressOutput {
  text = ''
  readonly isTTY: boolean

  constructor(isTTY: boolean) {
    this.isTTY = isTTY
  }

  write(text: string | Uint8Array): boolean {
    this.text += String(text)
    return true
  }
}

describe('progress', () => {
  it('is a bar on a terminal, which is gone at the end', () => {
    const screen = new Screen(true)
    const progress = new Progress(screen, 'Backup')
    progress.start(2048)
    expect(screen.text).toContain('Backup')
    expect(screen.text).toContain('0 %  0 bytes of 2.0 KiB')
    progress.note('Something happened.')
    expect(screen.text.endsWith('\r\x1b[KSomething happened.\n')).toBe(true)
    progress.stop()
    expect(screen.text.endsWith('\n')).toBe(true)
  })

  it('is a line for each quarter elsewhere, without control characters', () => {
    const screen = new Screen(false)
    const progress = new Progress(screen, 'Backup')
    progress.start(4096)
    for (let i = 0; i < 4096; i += 64) progress.add(64)
    progress.stop()
    expect(screen.text.split('\n')).toEqual([
      'Backup  25 %  1.0 KiB of 4.0 KiB',
      'Backup  50 %  2.0 KiB of 4.0 KiB',
      'Backup  75 %  3.0 KiB of 4.0 KiB',
      'Backup 100 %  4.0 KiB of 4.0 KiB',
      '',
    ])
  })

  it('of nothing is complete', () => {
    const screen = new Screen(false)
    new Progress(screen, 'Restore').start(0)
    expect(screen.text).toBe('Restore 100 %  0 bytes of 0 bytes\n')
  })
})

it.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1024, '1.0 KiB'],
  [1_610_612_736, '1.5 GiB'],
  [2 ** 52, '4096.0 TiB'],
])('%i is written %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text)
})
