// The first page: what happens, as it happens. Signs in, listens, and keeps the list as the server has it.

import { Board, type BoardNumbers, ROWS_MAX } from './board.ts'
import { Decisions } from './decisions.ts'
import {
  type Alert,
  ask,
  type Delivery,
  forgetToken,
  keepToken,
  type Revocation,
  ServerError,
  tokenOfTab,
} from './server.ts'
import { readStream, type StreamMessage, type StreamState } from './stream.ts'
import { initTheme } from './theme.ts'
import { Watch } from './watch.ts'
import { byId, count, element, localTime } from './words.ts'

const PAGE_ROWS = 100
/** What came is shown together, four times a second at most. */
const PAINT_MILLIS = 250
/** Messages that wait for the list. */
const QUEUE_MAX = 5000

const filter = byId('filter', HTMLInputElement)
const pause = byId('pause', HTMLButtonElement)
const fresh = byId('fresh', HTMLButtonElement)
const older = byId('older', HTMLButtonElement)
const help = byId('help', HTMLDialogElement)
const trouble = byId('trouble', HTMLElement)
const token = byId('token', HTMLInputElement)

const board = new Board(byId('alerts', HTMLOListElement), showNumbers)
const decisions = new Decisions(({ alert_id, id, state }) => board.revocation(alert_id, id, state))
const watch = new Watch(({ revocations }) => decisions.replace(revocations))
let session = new AbortController()
let next: string | null = null
let queue: StreamMessage[] = []

function showNumbers({ rows, matching, held }: BoardNumbers): void {
  const full = rows >= ROWS_MAX
  const all = full ? `the newest ${count(rows, 'alert')}` : count(rows, 'alert')
  const words = filter.value.trim() === '' ? all : `${matching} of ${all}`
  // What would be read would be taken away at once.
  older.hidden = next === null || full
  byId('shown', HTMLElement).replaceChildren(words)
  fresh.hidden = held === 0
  if (held > 0) fresh.replaceChildren(`${count(held, 'new alert')}: show`)
  const empty = byId('empty', HTMLElement)
  empty.hidden = matching > 0
  empty.replaceChildren(
    rows === 0
      ? 'No alerts. Nothing that was seen left its scope; this page shows it when something does.'
      : 'No alert holds all of these words.',
  )
  document.title = held > 0 ? `(${held}) Bailiwick: alerts` : 'Bailiwick: alerts'
}

function showState(state: StreamState): void {
  const connection = byId('connection', HTMLElement)
  const words = byId('connection-words', HTMLElement)
  // What is known of the server is as old as the connection.
  if (connection.dataset.state !== state.state && state.state === 'lost') watch.refresh()
  connection.dataset.state = state.state
  if (state.state === 'live') words.replaceChildren('live')
  else if (state.state === 'connecting') words.replaceChildren('connecting…')
  else if (state.state === 'refused') signedOut('This token is not, or no longer, taken.')
  else {
    const since = localTime(new Date(state.since).toISOString()).clock
    const seconds = Math.max(1, Math.round((state.at - Date.now()) / 1000))
    words.replaceChildren(`no connection since ${since}; next try in ${seconds} s`)
  }
}

function take(message: StreamMessage): void {
  if (message.event === 'hello' || message.event === 'gap') {
    watch.stream = ''
    void reload(message.event === 'gap')
  } else if (message.event === 'notice') notice(message.data.notice)
  else {
    if (queue.length === 0) setTimeout(paint, PAINT_MILLIS)
    queue.push(message)
    // The list, when it comes, has the older ones.
    if (queue.length > QUEUE_MAX) queue.splice(0, queue.length - QUEUE_MAX)
  }
}

/** What the server says of its own source of alerts. */
function notice(said: unknown): void {
  const { kind, state, words } = (said ?? {}) as Record<string, unknown>
  if (kind === 'stream') watch.stream = state === 'lost' ? String(words) : ''
}

function paint(): void {
  // What is told while the list is under way is newer than the list.
  if (reading) return void setTimeout(paint, PAINT_MILLIS)
  const messages = queue
  queue = []
  // Of an alert that changed several times, the last state is the one to show.
  const alerts = new Map<string, Alert>()
  for (const { event, data } of messages)
    if (event === 'alert') alerts.set((data.alert as Alert).id, data.alert as Alert)
  if (alerts.size > 0) board.take([...alerts.values()], true)
  if (messages.some(({ event }) => event !== 'alert')) watch.moved()
  for (const { event, data } of messages)
    if (event === 'delivery') {
      const delivery = data.delivery as Delivery & { alerts: string[] }
      board.delivery(delivery.alerts, delivery)
    } else if (event === 'revocation') {
      const revocation = data.revocation as Revocation
      decisions.take(revocation)
      board.revocation(revocation.alert_id, revocation.id, revocation.state)
    }
}

let loaded = false
let reading = false

/** Reads the list: at first, and after a gap, when what was missed is in it. */
async function reload(gap: boolean): Promise<void> {
  if (loaded && !gap) return
  reading = true
  try {
    const [page, { revocations }] = await Promise.all([
      ask<{ alerts: Alert[]; next: string | null }>(`alerts?limit=${PAGE_ROWS}`),
      ask<{ revocations: Revocation[] }>('revocations'),
    ])
    if (!loaded) next = page.next
    board.take(page.alerts, loaded)
    decisions.replace(revocations)
    loaded = true
    say('')
  } catch (error) {
    said(error)
    if (!session.signal.aborted) setTimeout(() => void reload(gap), 5000)
  } finally {
    reading = false
  }
}

async function loadOlder(): Promise<void> {
  if (next === null) return
  older.disabled = true
  try {
    const page = await ask<{ alerts: Alert[]; next: string | null }>(
      `alerts?limit=${PAGE_ROWS}&cursor=${encodeURIComponent(next)}`,
    )
    next = page.next
    board.take(page.alerts, false)
    say('')
  } catch (error) {
    said(error)
  } finally {
    older.disabled = false
  }
}

function said(error: unknown): void {
  if (error instanceof ServerError && error.status === 401)
    return signedOut('This token is not, or no longer, taken.')
  say(error instanceof Error ? error.message : String(error))
}

function say(words: string): void {
  trouble.hidden = words === ''
  trouble.replaceChildren(element('span', {}, words))
}

async function signedIn(): Promise<void> {
  try {
    const { name, role } = await ask<{ name: string; role: string }>('me')
    decisions.role = role
    watch.mayDecide = role === 'approver' || role === 'admin'
    byId('sign-out', HTMLButtonElement).title = `Signed in as ${name} (${role})`
  } catch (error) {
    if (error instanceof ServerError && error.status === 401)
      return signedOut('This token is not, or no longer, taken.')
  }
  session = new AbortController()
  byId('sign-in', HTMLElement).hidden = true
  byId('board', HTMLElement).hidden = false
  byId('watch', HTMLElement).hidden = false
  watch.start()
  byId('tools', HTMLElement).hidden = false
  void readStream(take, showState, session.signal)
}

function signedOut(words = ''): void {
  session.abort()
  forgetToken()
  board.clear()
  decisions.replace([])
  queue = []
  loaded = false
  byId('connection', HTMLElement).dataset.state = 'off'
  byId('connection-words', HTMLElement).replaceChildren('not connected')
  byId('sign-in', HTMLElement).hidden = false
  byId('board', HTMLElement).hidden = true
  byId('watch', HTMLElement).hidden = true
  watch.stop()
  byId('tools', HTMLElement).hidden = true
  byId('token-problem', HTMLElement).replaceChildren(words)
  token.value = ''
  token.focus()
}

function togglePause(): void {
  const incomplete = board.incomplete
  board.paused = !board.paused
  pause.setAttribute('aria-pressed', String(board.paused))
  byId('pause-words', HTMLElement).replaceChildren(board.paused ? 'Paused' : 'Pause')
  if (incomplete) void reload(true)
}

function showFresh(): void {
  const incomplete = board.incomplete
  board.showHeld()
  if (incomplete) void reload(true)
}

const KEYS: Readonly<Record<string, () => void>> = {
  '/': () => filter.focus(),
  j: () => board.move(1),
  k: () => board.move(-1),
  p: togglePause,
  n: showFresh,
  s: () => document.querySelector<HTMLButtonElement>('#watch-line button')?.focus(),
  '?': () => help.showModal(),
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && event.target === filter) {
    event.preventDefault()
    filter.value = ''
    board.filter = ''
    return filter.blur()
  }
  const typing = event.target instanceof HTMLInputElement
  const act = KEYS[event.key]
  if (typing || act === undefined || event.ctrlKey || event.metaKey || event.altKey) return
  if (byId('board', HTMLElement).hidden || document.querySelector('dialog[open]') !== null) return
  event.preventDefault()
  act()
})

filter.addEventListener('input', () => {
  board.filter = filter.value
})
pause.addEventListener('click', togglePause)
fresh.addEventListener('click', showFresh)
older.addEventListener('click', () => void loadOlder())
byId('help-open', HTMLButtonElement).addEventListener('click', () => help.showModal())
byId('sign-out', HTMLButtonElement).addEventListener('click', () => signedOut())
byId('token-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  if (keepToken(token.value.trim())) {
    token.value = ''
    byId('token-problem', HTMLElement).replaceChildren()
    void signedIn()
  } else
    byId('token-problem', HTMLElement).replaceChildren(
      'That is no token: it begins with bw_ and has 55 characters.',
    )
})
// A link with a token may be followed in a tab that is open already.
addEventListener('hashchange', () => {
  if (!location.hash.includes('bw_')) return
  signedOut()
  if (tokenOfTab() !== undefined) void signedIn()
})

initTheme(byId('theme', HTMLButtonElement))
if (tokenOfTab() === undefined) signedOut()
else void signedIn()
