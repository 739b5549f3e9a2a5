// Text and times for people. What comes from the network is hostile: it becomes text nodes, and what would turn the
// direction of a line or hide in it is shown as what it is.

const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu

/** A string whose every character can be seen. */
export function seen(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`)
}

/** An element with attributes and children; strings become text, never markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  for (const child of children)
    made.append(typeof child === 'string' ? document.createTextNode(seen(child)) : child)
  return made
}

/** What the page is made of, by id. @throws Error if it is not there, which is a mistake of ours */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`)
  return found
}

const pad = (number: number, width = 2) => String(number).padStart(width, '0')

/** A moment on the clock of whoever looks: `11:42:03`, with the day where it is not today. */
export function localTime(iso: string, now = new Date()): { day: string; clock: string } {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return { day: '', clock: iso }
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`
  const same = date.toDateString() === now.toDateString()
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
  return { day: same ? '' : day, clock }
}

/** The same moment in UTC: `2026-01-05 09:00:01.250 UTC`. */
export function utcTime(iso: string): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return iso
  return `${date.toISOString().replace('T', ' ').slice(0, 23)} UTC`
}

/** Both, as a `<time>`: local to read, UTC beside it. */
export function timeElement(iso: string): HTMLTimeElement {
  const { day, clock } = localTime(iso)
  const local = day === '' ? clock : `${day} ${clock}`
  return element('time', { datetime: iso }, `${local} local · ${utcTime(iso)}`)
}

/** The short name that a person would say: the last part of an id. */
export function shortName(id: string): string {
  return /[^/:]+$/.exec(id)?.[0] ?? id
}

/** `1 alert`, `2 alerts` */
export function count(number: number, word: string): string {
  return `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`
}

/** Bytes with a unit: `1.4 MB`. */
export function bytesText(bytes: number | null): string {
  if (bytes === null) return 'unknown'
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}
