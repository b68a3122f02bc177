/** What every server script that the benchmark starts as a child has in common. */

/** The line by which the parent learns where the child listens. */
export function announce(url: string): void {
  process.stdout.write(`listening on ${url}\n`)
}

/** Ends this process when the parent ends, however it ends: its end of standard input closes then. */
export function stopWithParent(): void {
  process.stdin.on('end', () => process.exit(0))
  process.stdin.resume()
}
