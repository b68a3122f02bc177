/** The page: shows one conversation, and survives being reloaded at any moment. */
import { followChat, newChat, type SavedChat } from './follow-chat.ts'
import type { Exchange } from './transcript.ts'

const STORAGE_KEY = 'millrace-chat'

const form = find('ask', HTMLFormElement)
const input = find('question', HTMLInputElement)
const send = find('send', HTMLButtonElement)
const status = find('status', HTMLElement)
const list = find('transcript', HTMLElement)

function find<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id)
  if (element instanceof kind) return element
  throw new Error(`The page has no ${id}`)
}

function load(): SavedChat {
  const saved = localStorage.getItem(STORAGE_KEY)
  // Only `save` writes there.
  if (saved !== null) return JSON.parse(saved)
  const fresh = newChat(crypto.randomUUID())
  save(fresh)
  return fresh
}

function save(state: SavedChat): void {
  localStorage.setItem(STORAGE_KEY, JSON.stringify(state))
}

function show({ transcript }: SavedChat): void {
  for (const [index, exchange] of transcript.entries()) {
    const element = list.children[index] ?? list.appendChild(newElement())
    fill(element, exchange)
  }
  status.textContent = transcript.every(({ isAnswered }) => isAnswered) ? '' : 'answering…'
}

function newElement(): HTMLElement {
  const element = document.createElement('article')
  element.append(document.createElement('h2'), document.createElement('p'))
  return element
}

function fill(element: Element, { question, answer, isAnswered }: Exchange): void {
  const [heading, text] = element.children
  if (heading !== undefined) heading.textContent = question
  if (text !== undefined) text.textContent = answer
  element.setAttribute('data-answered', String(isAnswered))
}

async function put(path: string, body?: string): Promise<void> {
  const response = await fetch(path, { method: 'PUT', ...(body !== undefined && { body }) })
  if (!response.ok) throw new Error(await response.text())
}

function say(problem: string, error: unknown): void {
  status.textContent = `${problem} (${error instanceof Error ? error.message : String(error)})`
}

/** The id is kept until the question is stored: sent once more, it is still the same question. */
function sendQuestions(chat: string): void {
  let id = crypto.randomUUID()
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    send.disabled = true
    try {
      await put(`/chats/${chat}/questions/${id}`, input.value)
      id = crypto.randomUUID()
      input.value = ''
    } catch (error) {
      say('The question was not sent: send it again.', error)
    }
    send.disabled = false
  })
}

find('new', HTMLButtonElement).addEventListener('click', () => {
  localStorage.removeItem(STORAGE_KEY)
  location.reload()
})

const state = load()
show(state)
try {
  await put(`/chats/${state.chat}`)
  sendQuestions(state.chat)
  send.disabled = false
  await followChat(state, { origin: location.origin, save, show })
} catch (error) {
  say('The conversation can not be followed: reload the page, or begin a new one.', error)
}
