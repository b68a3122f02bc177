/** What an inbox is made of, and where it is. */

/** One event of an inbox. */
export interface Message {
  readonly id: string
  readonly from: string
  readonly text: string
}

/** Path of a user's inbox below the root of the streams. */
export function inboxPath(userId: string): string {
  return `users/${userId}/inbox`
}
