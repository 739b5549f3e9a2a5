import { mergeConfig } from 'vitest/config'
import short from './vitest.config.ts'

// Everything that takes long: run before a release.
const long = mergeConfig(short, { test: { testTimeout: 600_000 } })
if (long.test !== undefined) {
  long.test.include = ['test/**/*.long.test.ts']
  long.test.exclude = []
}

export default long
