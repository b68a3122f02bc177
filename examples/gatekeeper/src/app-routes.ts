/** What the app answers: accounts, sessions, tokens, and messages from one user to another. */
import type { IncomingMessage } from 'node:http'
import type { Accounts, User } from './accounts.ts'
import { type Answer, cookieOf, Refused, readFields, textField } from './http-exchange.ts'
import type { Inboxes } from './inboxes.ts'
import type { KeyRing } from './key-ring.ts'
import { SESSION_SECONDS, type Sessions } from './sessions.ts'
import type { TokenMint } from './token-mint.ts'

/** What the answers are made with. */
export interface AppParts {
  readonly accounts: Accounts
  readonly sessions: Sessions
  readonly keys: KeyRing
  readonly mint: TokenMint
  readonly inboxes: Inboxes
}

type Route = (request: IncomingMessage, parts: AppParts) => Promise<Answer>

/** By method and path. */
export const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['GET /jwks.json', async (_, { keys }) => ({ status: 200, body: { keys: await keys.publicKeys() } })],
  ['POST /signup', signUp],
  ['POST /login', logIn],
  ['POST /logout', logOut],
  ['POST /token', token],
  ['GET /account', account],
  ['DELETE /account', removeAccount],
  ['POST /messages', sendMessage],
])

// Everything that can be seen: no control characters, no halves of surrogate pairs.
const NAME = /^[^\p{C}]{1,64}$/u
const NAME_RULE = 'A name has 1 to 64 characters that can be seen.'
const PASSWORD = /^[\s\S]{8,256}$/
const PASSWORD_RULE = 'A password has 8 to 256 characters.'
const MESSAGE_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const MESSAGE_TEXT = /\S/

async function signUp(request: IncomingMessage, parts: AppParts): Promise<Answer> {
  const { name, password } = await readCredentials(request)
  const user = await parts.accounts.create(name, password)
  if (user === undefined) throw new Refused(409, 'That name is taken: choose another one.')
  return { ...(await beginSession(user, parts)), status: 201 }
}

async function logIn(request: IncomingMessage, parts: AppParts): Promise<Answer> {
  const { name, password } = await readCredentials(request)
  const user = await parts.accounts.withPassword(name, password)
  if (user === undefined) throw new Refused(401, 'The name or the password is wrong.')
  return beginSession(user, parts)
}

async function logOut(request: IncomingMessage, { sessions }: AppParts): Promise<Answer> {
  await sessions.end(cookieOf(request))
  return { status: 204, cookie: { value: '', maxAgeSeconds: 0 } }
}

async function token(request: IncomingMessage, parts: AppParts): Promise<Answer> {
  const { id } = await userOf(request, parts)
  return { status: 200, body: await parts.mint.forUser(id) }
}

async function account(request: IncomingMessage, parts: AppParts): Promise<Answer> {
  return { status: 200, body: describe(await userOf(request, parts), parts) }
}

/** First the account, so that no more tokens are made; then the inbox, which ends whoever reads it. */
async function removeAccount(request: IncomingMessage, parts: AppParts): Promise<Answer> {
  const { id } = await userOf(request, parts)
  await parts.accounts.remove(id)
  await parts.inboxes.remove(id)
  return { status: 204, cookie: { value: '', maxAgeSeconds: 0 } }
}

async function sendMessage(request: IncomingMessage, parts: AppParts): Promise<Answer> {
  const sender = await userOf(request, parts)
  const fields = await readFields(request)
  const id = textField(fields, 'id', MESSAGE_ID, 'The id of a message is a UUID.')
  const to = textField(fields, 'to', NAME, NAME_RULE)
  const text = textField(fields, 'text', MESSAGE_TEXT, 'Write something.')
  const receiver = await parts.accounts.find(to)
  const isDelivered =
    receiver !== undefined &&
    (await parts.inboxes.deliver(receiver.id, sender.id, { id, from: sender.name, text }))
  if (!isDelivered) throw new Refused(404, 'Nobody here has that name.')
  return { status: 202, body: {} }
}

async function readCredentials(
  request: IncomingMessage,
): Promise<{ readonly name: string; readonly password: string }> {
  const fields = await readFields(request)
  return {
    name: textField(fields, 'name', NAME, NAME_RULE),
    password: textField(fields, 'password', PASSWORD, PASSWORD_RULE),
  }
}

/** An inbox that a crash has left out at sign-up is made now. */
async function beginSession(user: User, parts: AppParts): Promise<Answer> {
  await parts.inboxes.open(user.id)
  const value = await parts.sessions.begin(user.id)
  if (value === undefined) throw new Refused(401, 'The account has just been deleted.')
  return { status: 200, body: describe(user, parts), cookie: { value, maxAgeSeconds: SESSION_SECONDS } }
}

function describe(user: User, { inboxes }: AppParts): object {
  return { ...user, inboxUrl: inboxes.url(user.id) }
}

async function userOf(request: IncomingMessage, { sessions }: AppParts): Promise<User> {
  const user = await sessions.userOf(cookieOf(request))
  if (user === undefined) throw new Refused(401, 'Log in first.')
  return user
}
