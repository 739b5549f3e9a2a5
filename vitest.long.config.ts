import { mergeConfig } from 'vitest/config'
import short from './vitest.config.ts'

// Everything that takes long: run before a release. One file at a time, because they measure.
const long = mergeConfig(short, {
  test: {
    testTimeout: 600_000,
    fileParallelism: false,
    globalSetup: ['test/faults/print-table.ts'],
  },
})
if (long.test !== undefined) {
  long.test.include = ['test/**/*.long.test.ts']
  long.test.exclude = []
}

export default long
