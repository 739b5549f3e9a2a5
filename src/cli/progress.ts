// How far reading has come: a bar where a person looks at a terminal, else a line now and then for the log.

import cliProgress from 'cli-progress'
import { printable } from '../wire-text.ts'
import type { Terminal } from './terminal.ts'
import { shortenStart } from './text-table.ts'

/** Silence in a log is broken this often. */
const LINE_EVERY_MS = 10_000

export interface ProgressAt {
  source: string
  bytesRead: number
  /** 0 if unknown. */
  bytesTotal: number
}

export interface ProgressBar {
  at: (progress: ProgressAt) => void
  /** Takes the bar away; nothing is shown after. */
  stop: () => void
}

/** A size for people: `12.3 MB`. */
export function sizeWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1000
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** @param now milliseconds of a clock that never goes back. @param bar false where a bar would mix with data. */
export function startProgress(terminal: Terminal, bar: boolean, now: () => number): ProgressBar {
  if (terminal.quiet) return { at: () => {}, stop: () => {} }
  return terminal.errIsTerminal && bar ? showBar(terminal) : sayLines(terminal, now)
}

function showBar(terminal: Terminal): ProgressBar {
  const shown = new cliProgress.SingleBar(
    {
      format: '{bar} {percentage}%  {size}  {rate}/s  {name}',
      stream: terminal.err.stream as NodeJS.WriteStream,
      clearOnComplete: true,
      hideCursor: true,
      barsize: 24,
      fps: 8,
    },
    cliProgress.Presets.shades_classic,
  )
  const started = performance.now()
  let source: string | undefined
  let before = 0
  let last = 0
  return {
    at: (progress) => {
      // Several inputs share the bar one after another; the rate is that of all of them.
      if (progress.source !== source) {
        before += last
        source = progress.source
        shown.start(Math.max(1, progress.bytesTotal), 0, { name: '', size: '', rate: '' })
      }
      last = progress.bytesRead
      const seconds = Math.max(0.001, (performance.now() - started) / 1000)
      if (progress.bytesTotal === 0) shown.setTotal(Math.max(1, progress.bytesRead))
      shown.update(progress.bytesRead, {
        name: shortenStart(printable(progress.source), Math.max(8, terminal.width - 64)),
        size: sizeWords(progress.bytesRead),
        rate: sizeWords((before + last) / seconds),
      })
    },
    stop: () => shown.stop(),
  }
}

function sayLines(terminal: Terminal, now: () => number): ProgressBar {
  let spoken = now()
  return {
    at: ({ source, bytesRead, bytesTotal }) => {
      const at = now()
      if (at - spoken < LINE_EVERY_MS) return
      spoken = at
      const of = bytesTotal > 0 ? ` of ${sizeWords(bytesTotal)}` : ''
      void terminal.err.write(`reading ${printable(source)}: ${sizeWords(bytesRead)}${of}\n`)
    },
    stop: () => {},
  }
}
