// What `bailiwick doctor` looks at in Kafka: the way there, the topics, the group of the workers.

import { stat } from 'node:fs/promises'
import { BusError, CHUNK_STREAM } from '../bus/bus.ts'
import type { KafkaSettings } from '../bus/kafka-client.ts'
import { groupState } from '../bus/kafka-group.ts'
import { brokerCount, ensureTopics } from '../bus/kafka-topics.ts'
import type { Settings } from '../settings.ts'
import { kafkaSettings } from './bus-options.ts'
import { type Check, fail, failed, ok, warn } from './check.ts'
import { topicWishes } from './topics.ts'

/** Checks Kafka; nothing if no broker is named. */
export async function checkKafka(settings: Settings): Promise<Check[]> {
  if (settings.kafka.brokers === undefined) return []
  const checks: Check[] = await checkSecretFiles(settings)
  let kafka: KafkaSettings
  let brokers: number
  const started = performance.now()
  try {
    kafka = kafkaSettings(settings)
    brokers = await brokerCount(kafka)
  } catch (error) {
    return [...checks, failed('kafka', error)]
  }
  const took = Math.round(performance.now() - started)
  checks.push(ok('kafka', `${brokersWords(brokers)}, ${wayWords(settings)}, in ${took} ms`))
  checks.push(...(await checkTopics(kafka, settings, brokers)))
  checks.push(await checkGroup(kafka, settings.worker.group))
  return checks
}

function brokersWords(brokers: number): string {
  return brokers === 1 ? 'one broker' : `${brokers} brokers`
}

function wayWords({ kafka }: Settings): string {
  const user = kafka.sasl === undefined ? 'no user' : `user ${kafka.sasl.username}`
  return `${kafka.tls === undefined ? 'no TLS' : 'TLS'}, ${user}`
}

async function checkTopics(
  kafka: KafkaSettings,
  settings: Settings,
  brokers: number,
): Promise<Check[]> {
  const name = 'kafka topics'
  try {
    const states = await ensureTopics(kafka, topicWishes(settings.topics, brokers), 'look')
    const missing = states.filter(({ partitions }) => partitions === 0).map(({ topic }) => topic)
    if (missing.length > 0)
      return [
        fail(
          name,
          `missing, or hidden from this user: ${missing.join(', ')}`,
          'bailiwick topics creates them',
        ),
      ]
    const differing = states.filter(({ differs }) => differs.length > 0)
    if (differing.length === 0) return [ok(name, `all ${states.length} as they should be`)]
    return differing.map(({ topic, differs }) =>
      warn(
        `topic ${topic.replace(/^bailiwick\./, '')}`,
        differs.join(', '),
        'if that is meant, say so in the settings (topics.partitions, …); else kafka-configs, kafka-topics --alter',
      ),
    )
  } catch (error) {
    if (error instanceof BusError && error.kind === 'refused')
      return [
        warn(
          name,
          'this user may not look at their configuration',
          'grant it Describe and DescribeConfigs, or ask as another user',
        ),
      ]
    return [failed(name, error)]
  }
}

async function checkGroup(kafka: KafkaSettings, group: string): Promise<Check> {
  const name = 'kafka workers'
  try {
    const { state, members, behind } = await groupState(kafka, group, CHUNK_STREAM)
    const found = `group ${group}: ${state}, members: ${members}, messages behind: ${behind}`
    return members === 0 && behind > 0n
      ? warn(name, found, 'nobody takes the chunks: start bailiwick worker')
      : ok(name, found)
  } catch (error) {
    // The brokers were reached before: it is this user that is not let at it.
    if (error instanceof BusError)
      return warn(
        name,
        `group ${group} cannot be looked at`,
        `grant this user Describe on the group and on ${CHUNK_STREAM}, or ask as a worker's user`,
      )
    return failed(name, error)
  }
}

const FOR_OTHERS = 0o007

/** Passwords and keys that everybody on this machine may read. */
async function checkSecretFiles({ kafka, storeAccess }: Settings): Promise<Check[]> {
  const files = [kafka.sasl?.password, storeAccess.password]
    .map((one) => (one !== undefined && 'file' in one ? one.file : undefined))
    .concat(kafka.tls?.keyFile)
    .filter((one) => one !== undefined)
  const checks: Check[] = []
  for (const file of files) {
    // One that cannot be read is told where it is needed.
    const info = await stat(file).catch(() => undefined)
    if (info !== undefined && (info.mode & FOR_OTHERS) !== 0)
      checks.push(warn('secrets', `${file} can be read by everybody`, `chmod o= ${file}`))
  }
  return checks
}
