// The values of kafkajs. It is a CommonJS package whose names Node cannot see from outside an import by default; its
// types can be imported as they are.

import kafkajs from 'kafkajs'

export const {
  CompressionCodecs,
  CompressionTypes,
  ConfigResourceTypes,
  Kafka,
  KafkaJSNonRetriableError,
  PartitionAssigners,
  Partitioners,
  logLevel,
} = kafkajs
