/** Tables for people: columns as wide as what is in them, numbers to the right. */

/** Lines of a table; a column is set to the right if everything in it is a number or a size. */
export function textTable(heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = heads.map((head, at) =>
    rows.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), head.length),
  )
  const isRight = heads.map((_, at) =>
    rows.every((row) => /^([0-9.]+( ([KMGT]i)?B| ?%)?)?$/.test(row[at] ?? '')),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (isRight[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd()
  return [line(heads), ...rows.map(line)]
}
