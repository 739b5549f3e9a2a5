// An idle producer and an idle consumer of kafkajs, as it comes or as Bailiwick changes it, and how many timers they
// arm in two seconds.   node idle-child.mjs as-it-comes|changed BROKER TOPIC
import { createRequire } from 'node:module'

const [how, broker, topic] = process.argv.slice(2)
if (how === 'changed') await import('../../dist/src/bus/kafka-patch.js')
const { Kafka, logLevel } = createRequire(import.meta.url)('kafkajs')
const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING })
const producer = kafka.producer()
await producer.connect()
await producer.send({ topic, messages: [{ value: 'a' }] })
const consumer = kafka.consumer({ groupId: `idle-${how}`, maxWaitTimeInMs: 250 })
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await new Promise((resolve) => consumer.run({ eachMessage: async () => resolve() }))

const before = process.cpuUsage()
const { setTimeout: arm } = globalThis
let timers = 0
globalThis.setTimeout = (...given) => {
  timers++
  return arm(...given)
}
await new Promise((resolve) => arm(resolve, 2000))
globalThis.setTimeout = arm
const { user, system } = process.cpuUsage(before)
console.log(JSON.stringify({ timers, cpuMillis: Math.round((user + system) / 1000) }))
process.exit(0)
