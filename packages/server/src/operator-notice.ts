/**
 * Something that the person who runs the server should know or change, told to `onError`. The message says all of it:
 * nothing is to be looked for in the stack.
 */
export class OperatorNotice extends Error {
  override readonly name = 'OperatorNotice'
}
