// Settings: which source counts, and that every mistake is told with its place and its cure.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SETTING_KEYS, variableOf } from '../src/setting-table.ts'
import { readSettings, type SettingSources } from '../src/settings.ts'
import { HOSTILE, RAW_CONTROL } from './cli/heard.ts'

const NOTHING: SettingSources = { env: {}, files: [], flags: {} }
const fromFile = (text: string, path = '/etc/bailiwick/config.yaml') =>
  readSettings({ ...NOTHING, files: [{ path, text }] })
const words = (read: ReturnType<typeof readSettings>) => read.problems.map((one) => one.words)

describe('precedence', () => {
  const files = [
    { path: 'near.yaml', text: 'kafka: {brokers: "near:1"}\nworker: {group: near}\n' },
    {
      path: '/far/far.yaml',
      text: 'kafka: {brokers: "far:1", client_id: far}\nworker: {group: far, agents: agents}\n',
    },
  ]
  it('is flag, variable, first file, next file, default; each setting for itself', () => {
    const { settings, origins, problems } = readSettings({
      env: { BAILIWICK_KAFKA_BROKERS: 'env:1,env:2', BAILIWICK_SENSOR_LANES: '16' },
      files,
      flags: { 'kafka.brokers': 'flag:1' },
    })
    expect(problems).toEqual([])
    expect(settings.kafka.brokers).toEqual(['flag:1'])
    expect(settings.sensor.lanes).toBe(16)
    expect(settings.worker.group).toBe('near')
    expect(settings.kafka.clientId).toBe('far')
    expect(settings.sensor.spoolBytes).toBe(20 * 2 ** 30)
    expect(origins['kafka.brokers']).toBe('--kafka')
    expect(origins['sensor.lanes']).toBe('BAILIWICK_SENSOR_LANES')
    expect(origins['worker.group']).toBe('near.yaml:2:17')
    expect(origins['kafka.client_id']).toBe('/far/far.yaml:1:38')
    expect(origins['sensor.spool_bytes']).toBe('default')
  })

  it('takes an empty variable for none', () => {
    const { settings } = readSettings({ ...NOTHING, env: { BAILIWICK_KAFKA_BROKERS: '' }, files })
    expect(settings.kafka.brokers).toEqual(['near:1'])
  })

  it('resolves paths of a file from where the file is, and no others', () => {
    const { settings } = readSettings({ ...NOTHING, files, flags: { 'sensor.spool': 'spool' } })
    expect(settings.worker.agents).toBe('/far/agents')
    expect(settings.sensor.spool).toBe('spool')
  })
})

describe('a settings file', () => {
  it('may be written short, in lists or with commas, and with empty sections', () => {
    const { settings, problems } = fromFile(`
kafka:
  brokers: [a:9092, b.example:9093]
  tls: true
store: http://writer@host:8123/flows
sensor:
worker:
  in_flight_bytes: 256MiB
listen: 9464
`)
    expect(problems).toEqual([])
    expect(settings.kafka.brokers).toEqual(['a:9092', 'b.example:9093'])
    expect(settings.kafka.tls).toEqual({})
    expect(settings.store).toBe('http://writer@host:8123/flows')
    expect(settings.worker.inFlightBytes).toBe(256 * 2 ** 20)
    expect(settings.listen).toEqual({ host: '127.0.0.1', port: 9464 })
  })

  it.each<[text: string, words: string]>([
    ['kafak: {}', ':1:1: unknown key `kafak`: expected one of kafka, store, sensor, live, worker,'],
    ['kafka:\n  broker: a:1', ':2:3: unknown key `broker`: expected one of brokers, client_id,'],
    ['kafka:\n  brokers: a', ':2:12: `kafka.brokers`: expected host:port of a Kafka broker,'],
    ['kafka: 7', ':1:8: `kafka`: expected keys and values, found 7'],
    ['kafka: {tls: perhaps}', ':1:14: `kafka.tls.enabled`: expected true or false, found perhaps'],
    ['kafka: {tls: {ca_flie: x}}', '(did you mean ca_file?)'],
    ['sensor:\n  id: a b', ':2:7: `sensor.id`: expected up to 63 letters, digits,'],
    ['a: [', 'expected YAML'],
    ['kafka: {password: hunter2}', ':1:9: secrets do not stand in settings files:'],
    ['kafka: {sasl: {password: hunter2}}', 'set BAILIWICK_KAFKA_PASSWORD'],
    ['store: {password: hunter2}', 'set BAILIWICK_STORE_PASSWORD'],
  ])('%j', (text, expected) => {
    const told = words(fromFile(text))
    expect(told[0]).toContain(expected)
    expect(told.join()).not.toContain('hunter2')
    expect(told.join()).toContain('/etc/bailiwick/config.yaml:')
  })
})

describe('numbers', () => {
  const BAD = ['.nan', '.inf', '-.inf', '1e309', '-1', '0', '1.5', '"1e9"', '"0x10"', '""', '" 8"']
  it.each(BAD)('are whole, finite and bounded: not %s', (value) => {
    for (const key of ['lanes', 'spool_bytes']) {
      const read = fromFile(`sensor: {${key}: ${value}}`)
      expect(words(read)[0]).toMatch(new RegExp(`\`sensor.${key}\`: expected .* from`))
    }
  })

  it.each([
    'NaN',
    'Infinity',
    '1e309',
    '-1',
    '1e9',
    '0x10',
    ' 8',
    '8 ',
    '١',
    '99999999999999999999',
  ])('in text are digits: not %j', (value) => {
    const env = { BAILIWICK_SENSOR_LANES: value, BAILIWICK_SENSOR_SPOOL_BYTES: value }
    expect(words(readSettings({ ...NOTHING, env }))).toHaveLength(2)
    const flags = { 'topics.partitions': value }
    expect(words(readSettings({ ...NOTHING, flags }))[0]).toMatch(
      /^--partitions: expected a whole number from 1 to 10000, found /,
    )
  })
})

describe('where to listen', () => {
  it.each([
    ['9464', '127.0.0.1', 9464],
    ['0.0.0.0:9464', '0.0.0.0', 9464],
    ['[::1]:9464', '::1', 9464],
    ['health.internal:80', 'health.internal', 80],
    ['127.0.0.1:0', '127.0.0.1', 0],
  ])('%s', (text, host, port) => {
    expect(readSettings({ ...NOTHING, flags: { listen: text } }).settings.listen).toEqual({
      host,
      port,
    })
  })

  // `:9464` means every address elsewhere: nobody gets that without saying so.
  it.each([':9464', '*:9464', '65536', '::1:9464', 'http://x:1', 'a b:1', '[x]:1', '9464/'])(
    'not %j',
    (text) => {
      expect(words(readSettings({ ...NOTHING, flags: { listen: text } }))[0]).toMatch(
        /^--listen: expected a port \(on loopback then\)/,
      )
    },
  )
})

describe('secrets', () => {
  const env = { BAILIWICK_KAFKA_SASL_USERNAME: 'sensor', BAILIWICK_KAFKA_PASSWORD: 'hunter2' }

  it('come from the environment, and nothing that prints settings prints them', () => {
    const { settings, problems } = readSettings({ ...NOTHING, env })
    expect(problems).toEqual([])
    const { sasl } = settings.kafka
    expect(sasl?.mechanism).toBe('scram-sha-512')
    expect(sasl !== undefined && 'text' in sasl.password && sasl.password.text()).toBe('hunter2')
    expect(JSON.stringify(settings)).not.toContain('hunter2')
  })

  it('are not told when they are wrong', () => {
    const read = readSettings({
      ...NOTHING,
      env: { ...env, BAILIWICK_KAFKA_PASSWORD: 'hun\nter2' },
    })
    expect(words(read)[0]).toBe('BAILIWICK_KAFKA_PASSWORD: expected a password of one line')
  })

  it.each<[env: Record<string, string>, words: string]>([
    [{ BAILIWICK_KAFKA_SASL_USERNAME: 'x' }, 'BAILIWICK_KAFKA_SASL_USERNAME: needs a password:'],
    [{ BAILIWICK_KAFKA_PASSWORD: 'x' }, 'BAILIWICK_KAFKA_PASSWORD: needs `kafka.sasl.username`'],
    [{ BAILIWICK_KAFKA_TLS_KEY_FILE: 'x' }, 'needs `kafka.tls.cert_file` beside it'],
    [
      { BAILIWICK_KAFKA_TLS: 'false', BAILIWICK_KAFKA_TLS_CA_FILE: 'x' },
      'BAILIWICK_KAFKA_TLS: is false, but files for TLS are given',
    ],
    [{ ...env, BAILIWICK_KAFKA_SASL_MECHANISM: 'plain' }, 'travels in the clear'],
    [{ BAILIWICK_STORE: 'http://u:hunter2@h/' }, 'BAILIWICK_STORE: others can read the password'],
  ])('%j', (given, expected) => {
    const told = words(readSettings({ ...NOTHING, env: given }))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain(expected)
    expect(told[0]).not.toContain('hunter2')
  })
})

it('warns of variables that nothing reads, but not of those that Kubernetes sets', () => {
  const env = {
    BAILIWICK_KAFKA_BROKER: 'a:1',
    BAILIWICK_SERVICE_HOST: '10.0.0.1',
    BAILIWICK_PORT_9464_TCP_ADDR: '10.0.0.1',
    BAILIWICK_DEBUG: '1',
    HOME: '/root',
  }
  expect(readSettings({ ...NOTHING, env }).problems).toEqual([
    {
      severity: 'warning',
      words:
        'BAILIWICK_KAFKA_BROKER: no such setting, nothing reads it (did you mean BAILIWICK_KAFKA_BROKERS?)',
    },
  ])
})

describe('whatever stands in a file or a variable', () => {
  const line = (text: string) => expect(text).not.toMatch(RAW_CONTROL)

  it('is told in lines that can be printed, or read', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...HOSTILE),
      fc.json(),
      fc.constantFrom(
        'kafka:',
        'kafka: {tls: [',
        'a: &b [*b]',
        '? [x]',
        '__proto__: {a: 1}',
        '- - -',
      ),
    )
    fc.assert(
      fc.property(text, fc.constantFrom(...SETTING_KEYS), (given, key) => {
        const nested = key.split('.').reduceRight((inner, name) => `{${name}: ${inner}}`, given)
        const read = readSettings({
          env: { [variableOf(key)]: given, [`BAILIWICK_${given}`]: given },
          files: [
            { path: `a${given}.yaml`, text: given },
            { path: 'b.yaml', text: nested },
          ],
          flags: { [key]: given },
        })
        for (const { words } of read.problems) line(words)
      }),
    )
  })

  it.each(['__proto__', 'constructor', 'toString'])('is no setting if it is called %s', (name) => {
    for (const text of [`${name}: 1`, `kafka: {${name}: 1}`, `kafka: {tls: {${name}: x}}`])
      expect(words(fromFile(text))[0]).toContain(`unknown key \`${name}\``)
    expect(({} as Record<string, unknown>).a).toBeUndefined()
  })
})
