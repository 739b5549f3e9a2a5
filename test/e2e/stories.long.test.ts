// Each bundled story in a run of its own, with its own agents and its own expectation.

import { expect, test } from 'vitest'
import { tellAll } from '../../fixtures/generate.ts'
import { RUN_MILLIS_MAX, replayCase } from './replaying.ts'

test.each(tellAll().map(({ name }) => name))(
  '%s: its replay finds what its author expects',
  async (name) => {
    const run = await replayCase(name)
    expect(run, run.told).toMatchObject({ code: 0 })
  },
  RUN_MILLIS_MAX,
)
