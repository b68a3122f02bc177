/** Sizes for people. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

/** A number of bytes in the unit that suits it: `512 B`, `1.5 MiB`. */
export function byteText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let size = bytes / 1024
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit++
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`
}
