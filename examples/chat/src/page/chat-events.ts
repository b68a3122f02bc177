/** What a conversation's stream holds, in the order in which it happened. */

/** One message of the stream. */
export type ChatEvent =
  | { readonly kind: 'question'; readonly id: string; readonly text: string }
  | { readonly kind: 'token'; readonly question: string; readonly index: number; readonly text: string }
  | { readonly kind: 'answered'; readonly question: string }

/** Where the page finds the stream of a conversation, below the origin of the app. */
export function chatPath(chat: string): string {
  return `/v1/stream/chats/${chat}`
}
