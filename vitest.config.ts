import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: ['test/built.ts'],
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts'],
    // chdb holds one data directory per process and crashes in worker threads: every test file is a process.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
