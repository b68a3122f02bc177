/** What test pages do: follow streams, and show what they have seen. */
import type * as millrace from '@millrace/client'
import type { Browser, Page } from 'playwright-core'
import { openPage, type Site } from './browser.fixture.ts'

/** What the pages have in their window. */
export interface PageWindow {
  readonly millrace: typeof millrace
  seen: Record<string, number[]>
  follow(url: string, options: Partial<millrace.StreamOptions>, keep?: string): Promise<void>
}

declare const window: PageWindow
declare const localStorage: { getItem(key: string): string | null; setItem(key: string, value: string): void }

function defineFollow(): void {
  window.seen = {}
  window.follow = async (url, options, keep) => {
    const kept = JSON.parse((keep && localStorage.getItem(keep)) ?? '{"offset":"-1","seen":[]}') as {
      readonly offset: string
      readonly seen: number[]
    }
    window.seen[url] = kept.seen
    const response = await window.millrace.stream<number>({ url, offset: kept.offset, ...options })
    response.subscribeJson(({ items, offset }) => {
      window.seen[url]?.push(...items)
      if (keep) localStorage.setItem(keep, JSON.stringify({ offset, seen: window.seen[url] }))
    })
  }
}

/** The same as an expression, for tabs that only know expressions. */
export const DEFINE_FOLLOW: string = `(${String(defineFollow)})()`

/** Opens a page that can follow streams. */
export async function openFollowingPage(browser: Browser, site: Site): Promise<Page> {
  const page = await openPage(browser, site)
  await page.evaluate(defineFollow)
  return page
}

/** Reloads it: nothing stays but what was kept. */
export async function reload(page: Page): Promise<void> {
  await page.reload()
  await page.waitForFunction('window.millrace !== undefined')
  await page.evaluate(defineFollow)
}

/** How to follow. */
export interface FollowOptions {
  readonly live: 'sse' | 'long-poll'
  /** Where the page keeps offset and events, to go on from there after a reload. */
  readonly keep?: string
}

/** Begins to follow streams of numbers, and does not wait for any. */
export async function follow(page: Page, urls: readonly string[], options: FollowOptions): Promise<void> {
  await page.evaluate(
    ([all, { live, keep }]) => {
      for (const url of all) void window.follow(url, { live }, keep)
    },
    [urls, options] as const,
  )
}

/** What a page has seen of a stream. */
export function seenIn(page: Page, url: string): Promise<readonly number[]> {
  return page.evaluate((of) => window.seen[of] ?? [], url)
}
