// Writes to a journal and consumes it until it is killed. Prints `a ID BODY` after each acknowledged message, `c NEXT`
// after each commit.
//
//   node journal-child.mjs DIRECTORY RUN

import { writeSync } from 'node:fs'
import { Journal } from '../../dist/src/bus/journal.js'

const [directory, run] = process.argv.slice(2)
const journal = await Journal.open(
  { directory, stream: 'test', segmentBytes: 20_000, maxBytes: 1 << 20 },
  () => {},
)
const sink = journal.sink()
const say = (line) => writeSync(1, `${line}\n`)

async function write(lane) {
  for (let i = 0; ; i++) {
    const body = `${run}.${lane}.${i} ${'x'.repeat((i * 37) % 900)}`
    const { offset } = await sink.send({ key: `probe/${lane}`, bytes: Buffer.from(body) })
    say(`a ${offset} ${body}`)
  }
}

async function consume() {
  for await (const claim of journal.source().claims())
    for (;;) {
      const taken = []
      for (let delivery; taken.length < 7 && (delivery = await claim.next(20)); )
        taken.push(delivery)
      if (taken.length === 0) continue
      const [first, last] = [taken[0].offset, taken.at(-1).offset]
      await claim.intend({ attempt: 1, slices: [{ first, last, rows: taken.length, token: run }] })
      // Slower than what is written, so that some is left.
      await new Promise((resolve) => setTimeout(resolve, 5))
      await claim.commit(last + 1n)
      say(`c ${last + 1n}`)
    }
}

await Promise.all([write(0), write(1), write(2), consume()])
