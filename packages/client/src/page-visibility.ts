/** Whether anybody can see the page. Outside browsers somebody always does. */

/** The part of a browser's `document` that is used here. */
interface VisibleDocument {
  readonly hidden: boolean
  addEventListener(type: 'visibilitychange', listener: () => void): void
  removeEventListener(type: 'visibilitychange', listener: () => void): void
}

/** Calls back now, when the page is hidden, and at each change. Returns what takes the listener away again. */
export function watchVisibility(onChange: (hidden: boolean) => void): () => void {
  const page = findDocument()
  if (page === undefined) return () => undefined
  const listener = (): void => onChange(page.hidden)
  page.addEventListener('visibilitychange', listener)
  if (page.hidden) onChange(true)
  return () => page.removeEventListener('visibilitychange', listener)
}

function findDocument(): VisibleDocument | undefined {
  const { document } = globalThis as { readonly document?: Partial<VisibleDocument> }
  return typeof document?.hidden === 'boolean' && typeof document.addEventListener === 'function'
    ? (document as VisibleDocument)
    : undefined
}
