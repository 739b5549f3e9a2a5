// A spool that is full, with the real command: it waits, says so, and loses nothing.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { BusWatch } from '../faults/bus-watch.ts'
import { writeFlows } from '../faults/numbered-flows.ts'
import { runProgram } from '../faults/program.ts'
import { chunkIds, bailiwick as start } from '../ship/stream.ts'

/** Some 90 bytes each in the spool, which is given the least that it takes. */
const FLOWS = 1_200_000

describe.skipIf(!(await kafkaAvailable()))('a spool that is full', () => {
  let directory = ''
  let cluster: Cluster
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-full-spool-'))
    cluster = await startCluster()
  }, 120_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
    await rm(directory, { recursive: true, force: true })
  })

  test('is not ready and says so; killed and started again with a broker, everything is sent', async () => {
    const log = path.join(directory, 'flows.log')
    writeFlows(log, 0, 0, FLOWS)
    const args = (broker: string) => [
      ...['sensor', log, '--sensor-id', 'full', '--spool', path.join(directory, 'spool')],
      ...['--spool-bytes', '64MiB', '--kafka', broker],
    ]
    const { child, said, ended } = start([...args('127.0.0.1:1'), '--listen', '127.0.0.1:0'])
    while (!said.stderr.includes('"started"')) await sleep(20)
    const { listen } = JSON.parse(said.stderr.split('\n').find((line) => line.includes('started'))!)
    const ready = async () => {
      const answer = await fetch(`${listen}/ready`)
      return { status: answer.status, text: await answer.text() }
    }
    while (!(await ready()).text.includes('the spool is full')) await sleep(100)
    expect(await ready()).toEqual({
      status: 503,
      text: expect.stringMatching(
        /the spool is full \(6\d{7} bytes\): reading waits until Kafka takes chunks, or give it more by --spool-bytes/,
      ),
    })
    child.kill('SIGKILL')
    await ended

    await runProgram(['topics', '--kafka', cluster.bootstrap.join(',')])
    const { stderr } = await runProgram(args(cluster.bootstrap.join(',')))
    expect(JSON.parse(stderr.trimEnd().split('\n').at(-1)!).msg).toBe('ended')
    const watch = await BusWatch.open(cluster.bootstrap)
    await watch.seen(CHUNK_STREAM, await watch.ends(CHUNK_STREAM))
    const sent = [...watch.messages.values()].map(({ header }) => header!)
    await watch.close()
    const ids = sent.filter(({ format }) => format !== 'statement').map(({ id }) => id)
    expect([...new Set(ids)].sort()).toEqual((await chunkIds([log], 'full')).sort())
  }, 300_000)
})
