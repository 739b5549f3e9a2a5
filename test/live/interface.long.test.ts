// What every backend has to live through: interfaces that go and come back, readers that do not keep up.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../src/live/live.ts'
import { Network } from './network.ts'
import { captureProcesses } from './processes.ts'
import { NAMESPACES } from './right.ts'
import { Servers } from './servers.ts'
import { comesBack, nobodyTakes, offForAMoment } from './stories.ts'

let servers: Servers
let networks: Network[] = []

beforeAll(async () => {
  servers = await Servers.open()
})
afterEach(() => {
  for (const network of networks) network.close()
  networks = []
  expect(captureProcesses(), 'processes that are left').toEqual([])
})
afterAll(() => servers.close())

function newNetwork(): Network {
  const network = new Network()
  networks.push(network)
  return network
}

describe.skipIf(!NAMESPACES).each(BACKENDS)('captured by %s', (backend) => {
  test('an interface that is removed and comes back, is switched off and on', () =>
    comesBack(backend, newNetwork(), servers))

  test('an interface that was off for a moment', () =>
    offForAMoment(backend, newNetwork(), servers))

  test('a reader that takes nothing for a while', () => nobodyTakes(backend, newNetwork(), servers))
})
