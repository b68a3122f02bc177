/** A failure that is the user's to mend; its message is all they need. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
