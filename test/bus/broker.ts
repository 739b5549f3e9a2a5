// A private Kafka broker for a test file. Where none can be had (no Java, no Maven, no download) the tests are
// skipped, loudly, unless BAILIWICK_REQUIRE_KAFKA=1 says that this is a failure.

import { kafkaJars } from '../../scripts/kafka.mjs'

/** Can brokers be started here? Downloads on the first call. @throws if they must be and cannot */
export async function kafkaAvailable(): Promise<boolean> {
  try {
    await kafkaJars()
    return true
  } catch (error) {
    if (process.env.BAILIWICK_REQUIRE_KAFKA === '1') throw error
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`\n*** SKIPPED: no Kafka broker for the tests of the bus. ${reason}\n\n`)
    return false
  }
}

export {
  type Cluster,
  startBroker,
  startCluster,
  stopBroker,
  stopCluster,
} from '../../scripts/kafka.mjs'
