/** The page: logs a user in, and shows the user's inbox. */
import { followInbox, LoggedOut } from './follow-inbox.ts'
import type { Message } from './message.ts'

interface Account {
  readonly name: string
  readonly inboxUrl: string
}

const status = find('status', HTMLElement)
const enter = find('enter', HTMLFormElement)
const inside = find('inside', HTMLElement)
const list = find('messages', HTMLElement)

function find<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id)
  if (element instanceof kind) return element
  throw new Error(`The page has no ${id}`)
}

/** The browser adds the cookie, which the page cannot see. */
async function ask(method: string, path: string, body?: object): Promise<Response> {
  const sent = body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(path, { method, ...sent })
  if (response.ok) return response
  const { message } = (await response.json()) as { readonly message: string }
  throw new Error(message)
}

function say(error: unknown): void {
  status.textContent = error instanceof Error ? error.message : String(error)
}

/** What users wrote is text, whatever it looks like. */
function show(messages: readonly Message[]): void {
  for (const { from, text } of messages) {
    const item = document.createElement('li')
    item.textContent = `${from}: ${text}`
    list.append(item)
  }
}

function whenSubmitted(form: HTMLFormElement, act: (event: SubmitEvent) => Promise<void>): void {
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    act(event).catch(say)
  })
}

function whenPressed(id: string, method: string, path: string): void {
  find(id, HTMLButtonElement).addEventListener('click', () => {
    ask(method, path)
      .then(() => location.reload())
      .catch(say)
  })
}

whenSubmitted(enter, async ({ submitter }) => {
  const path = submitter instanceof HTMLButtonElement ? submitter.value : '/login'
  const [name, password] = [find('name', HTMLInputElement).value, find('password', HTMLInputElement).value]
  await ask('POST', path, { name, password })
  location.reload()
})

/** Sent once more it is still the same message, until it is stored. */
let messageId = crypto.randomUUID()
const text = find('text', HTMLInputElement)
whenSubmitted(find('write', HTMLFormElement), async () => {
  const to = find('to', HTMLInputElement).value
  await ask('POST', '/messages', { id: messageId, to, text: text.value })
  messageId = crypto.randomUUID()
  text.value = ''
  status.textContent = `Sent to ${to}`
})
whenPressed('logout', 'POST', '/logout')
whenPressed('remove', 'DELETE', '/account')

const answer = await fetch('/account')
if (answer.ok) {
  const { name, inboxUrl } = (await answer.json()) as Account
  inside.hidden = false
  status.textContent = `You are ${name}`
  try {
    await followInbox({ appUrl: location.origin, inboxUrl, show })
  } catch (error) {
    inside.hidden = true
    enter.hidden = !(error instanceof LoggedOut)
    say(error)
  }
} else {
  enter.hidden = false
  status.textContent = 'Sign up twice, in two browsers, and write to each other.'
}
