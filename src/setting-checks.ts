// Mistakes of several settings together.

import { flagOf, type SettingKey, type SettingValues, variableOf } from './setting-table.ts'
import type { KafkaPart, SettingsProblem, SettingsRead } from './settings.ts'

/** Adds them to the problems. */
export function checkTogether({ values, origins, problems }: Omit<SettingsRead, 'settings'>): void {
  const tell = (severity: SettingsProblem['severity'], key: SettingKey, words: string) => {
    const origin = origins[key]
    const place = origin === variableOf(key) || origin === flagOf(key) ? '' : `\`${key}\`: `
    problems.push({ severity, words: `${origin}: ${place}${words}` })
  }
  const given = (key: SettingKey) => !['default', 'not set'].includes(origins[key])
  const pair = ['kafka.tls.cert_file', 'kafka.tls.key_file'] as const
  for (const [one, other] of [pair, [pair[1], pair[0]] as const])
    if (given(one) && !given(other)) tell('error', one, `needs \`${other}\` beside it`)
  if (values['kafka.tls.enabled'] === false && TLS_FILES.some(given))
    tell('error', 'kafka.tls.enabled', 'is false, but files for TLS are given (take one away)')
  const user = 'kafka.sasl.username'
  const password = given('kafka.password') || given('kafka.sasl.password_file')
  if (given(user) && !password)
    tell(
      'error',
      user,
      'needs a password: give `kafka.sasl.password_file`, or set BAILIWICK_KAFKA_PASSWORD',
    )
  for (const key of ['kafka.password', 'kafka.sasl.password_file', 'kafka.sasl.mechanism'] as const)
    if (given(key) && !given(user))
      tell('error', key, 'needs `kafka.sasl.username` (or BAILIWICK_KAFKA_SASL_USERNAME) beside it')
  if (given(user) && values['kafka.sasl.mechanism'] === 'plain' && tlsPart(values) === undefined)
    tell(
      'warning',
      user,
      'the password travels in the clear: set `kafka.tls`, or use scram-sha-512',
    )
  if (/^https?:\/\/[^/@]*:[^/@]+@/i.test(values['store.address'] ?? ''))
    tell(
      'warning',
      'store.address',
      'others can read the password in this URL: give `store.password_file`, or set BAILIWICK_STORE_PASSWORD',
    )
}

const TLS_FILES = ['kafka.tls.ca_file', 'kafka.tls.cert_file', 'kafka.tls.key_file'] as const

/** TLS of Kafka, undefined if none is spoken. */
export function tlsPart(values: SettingValues): KafkaPart['tls'] {
  const [caFile, certFile, keyFile] = TLS_FILES.map((key) => values[key])
  const files = {
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
  }
  const wanted = values['kafka.tls.enabled'] ?? Object.keys(files).length > 0
  return wanted ? files : undefined
}
