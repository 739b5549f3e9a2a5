import { expect, it } from 'vitest'
import { formatNetwork } from '../src/address.ts'
import { parseNetworks, readEnvironment, SENSOR_NAME } from '../src/config.ts'

it('reads the environment, and takes an empty variable for none', () => {
  expect(readEnvironment({})).toEqual({
    noColour: false,
    forceColour: false,
    debug: false,
    columns: undefined,
    dumb: false,
    bailiwick: {},
  })
  expect(readEnvironment({ NO_COLOR: '', FORCE_COLOR: '', BAILIWICK_DEBUG: '' })).toEqual(
    readEnvironment({}),
  )
  expect(
    readEnvironment({
      NO_COLOR: '1',
      FORCE_COLOR: '1',
      BAILIWICK_DEBUG: '1',
      COLUMNS: '72',
      TERM: 'dumb',
    }),
  ).toEqual({
    noColour: true,
    forceColour: true,
    debug: true,
    columns: 72,
    dumb: true,
    bailiwick: { BAILIWICK_DEBUG: '1' },
  })
  expect(readEnvironment({ FORCE_COLOR: '0', COLUMNS: 'wide' })).toEqual(readEnvironment({}))
})

it('reads networks, or names the piece that is none', () => {
  const networks = parseNetworks('10.0.0.0/8, fd00::/8,192.0.2.1')
  expect(Array.isArray(networks) && networks.map(formatNetwork)).toEqual([
    '10.0.0.0/8',
    'fd00::/8',
    '192.0.2.1/32',
  ])
  expect(parseNetworks('10.0.0.0/8,10.0.0.0/33')).toEqual({ wrong: '10.0.0.0/33' })
  expect(parseNetworks('')).toEqual({ wrong: '' })
})

it('knows what a sensor may be called', () => {
  for (const name of ['local', 'eu-1.edge_2', 'a'.repeat(63)]) expect(name).toMatch(SENSOR_NAME)
  for (const name of ['', '-x', 'a b', 'a/b', '../x', 'a'.repeat(64)])
    expect(name).not.toMatch(SENSOR_NAME)
})
