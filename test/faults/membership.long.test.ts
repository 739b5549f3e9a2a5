// Who works on what changes all the time: workers come and go, stop for longer than their session and go on, clocks
// jump, disks fill up.

import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'
import { fillDisk, freeBytes, mountSmall, noSmallDisk, unmountSmall } from './small-disk.ts'
import { FLOWS_MAX, trials } from './trial.ts'

/** Debian's package faketime. */
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'

const trial = await trials()

describe('members of the group', () => {
  trial({ name: 'rebalance storm: workers join and leave' }, async (arena, random) => {
    const end = arena.arrivals(4000, FLOWS_MAX)
    arena.worker()
    let changes = 0
    for (const until = Date.now() + 75_000; Date.now() < until; changes++) {
      const living = arena.workers.filter(({ running }) => running)
      if (living.length < 4 && (living.length === 1 || random() < 0.5)) arena.worker()
      else await living[Math.floor(random() * living.length)]!.stop()
      await sleep(300 + random() * 1200)
    }
    end()
    return { recoverySeconds: await arena.settled(), events: `${changes} joins and leaves` }
  })

  trial(
    { name: 'zombies: workers stopped at F5, F6, F7 for longer than their session' },
    async (arena) => {
      const end = arena.arrivals(2500, FLOWS_MAX)
      const places = ['F5_intent_insert', 'F6_mid_insert', 'F7_insert_commit']
      let zombies = 0
      arena.worker()
      for (const place of [...places, ...places]) {
        const zombie = arena.worker({
          arm: (start) => (start === 0 ? `${place}=stop@2` : undefined),
        })
        await arena.until('it is stopped', () => zombie.stopped)
        await sleep(10_000)
        zombie.signal('SIGCONT')
        zombies++
        await sleep(2000)
        await zombie.stop()
      }
      end()
      return { recoverySeconds: await arena.settled(), events: `${zombies} zombies` }
    },
  )
})

describe('the machine', () => {
  trial(
    { name: 'clock steps of an hour, forth and back' },
    async (arena) => {
      const clock = path.join(arena.directory, 'clock')
      writeFileSync(clock, '+0\n')
      const env = {
        LD_PRELOAD: FAKETIME,
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      }
      const end = arena.arrivals(4000, FLOWS_MAX, { env })
      arena.worker({ env })
      arena.worker({ env })
      const steps = ['+3600', '+0', '-3600', '+0', '-3600', '+3600', '+0']
      for (const step of steps) {
        await sleep(6000)
        writeFileSync(clock, `${step}\n`)
      }
      end()
      return { recoverySeconds: await arena.settled(), events: `${steps.length} steps` }
    },
    existsSync(FAKETIME) ? undefined : "clocks that step need Debian's package faketime",
  )

  trial(
    { name: 'the disk of the spools full while the broker is down' },
    async (arena) => {
      const disk = path.join(arena.directory, 'small-disk')
      await mountSmall(disk, '12m')
      try {
        arena.spools = disk
        const end = arena.arrivals(10_000, FLOWS_MAX)
        arena.worker()
        await sleep(4000)
        await arena.killBroker(1)
        await sleep(40_000)
        await arena.startBroker(1)
        end()
        const recoverySeconds = await arena.settled()
        await Promise.all(arena.sensors.map((sensor) => sensor.stop()))
        return { recoverySeconds, furtherKills: 1, events: '12 MB for four spools' }
      } finally {
        await Promise.all(arena.sensors.map((sensor) => sensor.stop('SIGKILL')))
        await unmountSmall(disk)
      }
    },
    noSmallDisk,
  )

  trial(
    { name: 'the disk of the store really full for 40 s', storeDisk: '400m' },
    async (arena) => {
      const end = arena.arrivals(5000, FLOWS_MAX)
      arena.worker()
      arena.worker()
      await arena.until('something is stored', async () => ((await arena.stored()) ?? 0) > 20_000)
      const letGo = fillDisk(arena.storeDisk)
      await sleep(20_000)
      // It also has to begin anew on a disk that is full.
      await arena.store.kill()
      await sleep(20_000)
      const free = freeBytes(arena.storeDisk)
      letGo()
      end()
      const recoverySeconds = await arena.settled()
      const events = `${free} bytes were free; the store killed meanwhile`
      return { recoverySeconds, furtherKills: 1, events }
    },
    noSmallDisk,
  )
})
