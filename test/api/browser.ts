// A browser for tests of the page: Debian's Chromium. Where there is none the tests are skipped, loudly, unless
// BAILIWICK_REQUIRE_BROWSER=1 says that this is a failure.

import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'

export function browserAvailable(): boolean {
  if (existsSync(CHROMIUM)) return true
  const words = `no ${CHROMIUM} for the tests of the page: apt-get install chromium`
  if (process.env.BAILIWICK_REQUIRE_BROWSER === '1') throw new Error(words)
  process.stderr.write(`\n*** SKIPPED: ${words}\n\n`)
  return false
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  })
}

export interface Looked {
  page: Page
  /** Errors of scripts, and everything that the browser or a policy complained of. */
  complaints: string[]
  /** Requests that left for another place than the server. */
  strangers: string[]
}

/** A new tab, in a context of its own, that remembers what went wrong in it. */
export async function openTab(
  browser: Browser,
  origin: string,
  { width = 1440, height = 900, dark = false } = {},
): Promise<Looked> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    timezoneId: 'Europe/Berlin',
    locale: 'en-GB',
  })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const complaints: string[] = []
  const strangers: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) strangers.push(request.url())
  })
  return { page, complaints, strangers }
}

/** Keeps a picture where BAILIWICK_SHOTS names a directory, for people to look at. */
export async function shoot(page: Page, name: string): Promise<void> {
  const directory = process.env.BAILIWICK_SHOTS
  if (directory === undefined || directory === '') return
  mkdirSync(directory, { recursive: true })
  await page.screenshot({ path: path.join(directory, `${name}.png`) })
}
