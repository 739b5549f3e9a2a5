// The embedded journal, held by the contract, by its own examples, and by whatever a disk may do to it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Journal } from '../../src/bus/journal.ts'
import { busContract } from './contract.ts'

let root = ''
let count = 0

busContract({
  name: 'journal',
  async start() {
    root = await mkdtemp(path.join(tmpdir(), 'bailiwick-journal-'))
  },
  async stream({ inFlightBytes }) {
    const directory = path.join(root, String(count++))
    const open = () => Journal.open({ directory, stream: 'test', inFlightBytes }, () => {})
    let journal = await open()
    return {
      sink: async () => journal.sink(),
      source: async () => journal.source(),
      async restart() {
        await journal.close()
        journal = await open()
      },
      close: () => journal.close(),
    }
  },
  stop: () => rm(root, { recursive: true, force: true }),
})
