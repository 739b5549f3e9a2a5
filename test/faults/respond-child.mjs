// What follows a finding, as a process that can be killed: takes findings from its standard input as a worker would give
// them, says which it has taken, and which state it is in.
//
//   node respond-child.mjs CONFIG.json         CONFIG: {directory, webhooks, revocation, secret}
//   in:   {"take": 7, "events": [...]}         out: {"taken": 7}
//         {"status": true}                          {"queued": …, "dead": …, "open": …, "ready": …}
//         {"kill": true}, {"redrive": true}         {"killed": true}

import { readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseNetwork } from '../../dist/src/address.js'
import { armFailpoints } from '../../dist/src/failpoint.js'
import { ENDPOINT_LIMITS } from '../../dist/src/respond/endpoint-limits.js'
import { REVOCATION } from '../../dist/src/respond/revoke-settings.js'
import { openResponse } from '../../dist/src/serve/response.js'

const { directory, webhooks, revocation, secret } = JSON.parse(
  readFileSync(process.argv[2], 'utf8'),
)
const armed = process.env.BAILIWICK_FAILPOINTS
if (armed !== undefined) armFailpoints(armed)

const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`)
const placed = { source: { text: () => secret }, place: 'the test' }
const response = await openResponse(
  {
    webhooks,
    allowTargets: [parseNetwork('127.0.0.0/8')],
    revocation: REVOCATION.parse(revocation),
    secrets: {
      webhooks: new Map(webhooks.map(({ name }) => [name, placed])),
      revocations: new Map(revocation.endpoints.map(({ name }) => [name, placed])),
    },
  },
  {
    ...{ directory, version: '1' },
    // As many tries as ever, with pauses that a test can wait for.
    limits: {
      ...ENDPOINT_LIMITS,
      schedule: ENDPOINT_LIMITS.schedule.map((pause) => Math.min(pause, 400)),
      breakMillis: [500],
      throttleMillis: 200,
    },
    log: (level, message, fields) =>
      writeSync(2, `${JSON.stringify({ level, message, ...fields })}\n`),
    // Sensors tell all the time, and no agent talks after it was revoked.
    activity: async () => ({ lastSeen: undefined, watchedUntil: Date.now() * 1000 }),
  },
).catch((error) => {
  writeSync(2, `${JSON.stringify({ refused: error.message })}\n`)
  process.exit(70)
})
response.ended.catch(() => process.exit(70))
say({ opened: true })

// Those where something is to be called; whether an agent is silent afterwards is only watched.
const OPEN = ['approved', 'calling']

function status() {
  const { desk, revocations } = response
  const readiness = response.observed.map((one) => one.readiness())
  return {
    queued: desk.endpoints().reduce((sum, { queued }) => sum + queued, 0),
    dead: desk.dead().length,
    open: revocations.list().filter(({ state }) => OPEN.includes(state)).length,
    waiting: revocations.list().filter(({ state }) => state === 'waiting').length,
    ready: readiness.every(({ ready }) => ready),
    reason: readiness.map(({ reason, warning }) => warning ?? reason).join('; '),
    rss: process.memoryUsage().rss,
  }
}

async function obey(line) {
  const { take, events, kill, redrive } = JSON.parse(line)
  if (take !== undefined) {
    await response.take(events)
    say({ taken: take })
  } else if (kill !== undefined) {
    await response.revocations.kill(kill, 'the test')
    say({ killed: kill })
  } else if (redrive !== undefined) {
    for (const { id } of response.desk.dead()) await response.desk.redrive(id)
  } else say(status())
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  obey(line).catch((error) => writeSync(2, `${JSON.stringify({ refused: String(error) })}\n`))
})
lines.on('close', () => process.exit(0))
process.on('SIGTERM', async () => {
  await response.close()
  process.exit(0)
})
