/** Letting go of several things, of which any may fail. */

/** Closes everything, whatever fails on the way; then throws the first failure. */
export async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of parts) await part.close().catch((error) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}
