// A morning at a SOC, for looking at the page: alerts of all levels, deliveries in all states, decisions that wait.

import type { AlertView } from '../../src/respond/alert-view.ts'
import { judged, sampleChunk } from '../store/samples.ts'
import { alertId, deskAlert, type TestDesk, type TestRevocations, waiting } from './desk.ts'
import type { World } from './world.ts'

const agent = (name: string) => `spiffe://corp.example/agent/${name}`
const delivered = { endpoint: 'siem', state: 'delivered', attempts: 1 } as const

const ALERTS: readonly (Partial<AlertView> & { name: string; secondsAgo: number })[] = [
  {
    name: 'ssh',
    secondsAgo: 4,
    agent: agent('build-runner'),
    destination: '203.0.113.77',
    port: 22,
    score: 96,
    flows: 3,
    sentence:
      'build-runner opened ssh to 203.0.113.77 (tcp/22) and sent 4.1 MB, which no rule of its scope allows',
    deliveries: [
      { endpoint: 'siem', state: 'delivered', attempts: 1 },
      { endpoint: 'ticketing', state: 'sending', attempts: 1 },
    ],
  },
  {
    name: 'paste',
    secondsAgo: 41,
    score: 90,
    flows: 2,
    sentence:
      'invoice-reader reached paste.example.net (tcp/443), which no rule of its scope allows',
    deliveries: [delivered, { endpoint: 'ticketing', state: 'delivered', attempts: 3 }],
  },
  {
    name: 'stray',
    secondsAgo: 312,
    kind: 'unregistered',
    agent: '',
    subject: '10.0.8.14',
    destination: 'api.llm.example',
    score: 64,
    flows: 118,
    grade: 'unknown',
    sentence: '10.0.8.14 talks to api.llm.example like an agent and belongs to none',
    deliveries: [delivered],
  },
  {
    name: 'shared',
    secondsAgo: 1460,
    agent: agent('support-triage'),
    destination: 'files.partner.example.org',
    score: 52,
    flows: 9,
    grade: 'shared',
    sentence:
      'support-triage, or another agent behind the same address, reached files.partner.example.org (tcp/443)',
    deliveries: [
      { ...delivered, state: 'dead', attempts: 10, lastError: 'it answers 500' },
      { endpoint: 'ticketing', state: 'held', attempts: 2, lastError: 'no answer in 15 s' },
    ],
  },
  {
    name: 'dns',
    secondsAgo: 5300,
    agent: agent('research-crawler'),
    destination: '198.51.100.53',
    port: 53,
    ipProto: 17,
    score: 34,
    flows: 41,
    grade: 'probable',
    sentence: 'research-crawler asked a resolver of its own, 198.51.100.53 (udp/53)',
    deliveries: [delivered],
  },
]

/** Fills the store, the desk and the revocations. */
export async function fillScene(
  world: World,
  desk: TestDesk,
  revocations: TestRevocations,
): Promise<void> {
  const now = Date.now()
  for (const { name, secondsAgo, ...more } of ALERTS) {
    const at = now - secondsAgo * 1000
    const first = (at - 90_000) * 1000
    desk.held.push(deskAlert(name, { first, ...more }, at))
  }
  const ts = (now - 41_000) * 1000
  const flows = [
    { name: 'paste-1', ts, server_name: 'www.paste.example.net', orig_bytes: 1_940_000 },
    { name: 'paste-2', ts: ts - 90_000_000, server_name: 'www.paste.example.net' },
  ]
  await world.store.insertSlice({
    key: 'tap1/scene:0-0',
    chunks: [
      judged(
        sampleChunk({ origin: 'tap1/scene', flows }),
        flows.map((flow) => ({
          ...{ name: flow.name, ts: flow.ts, verdict: 'out_of_scope' as const },
          ...{ destination: 'paste.example.net', alert: 'paste', score: 90, sentence: 'posted' },
        })),
      ),
    ],
  })
  revocations.views.push(
    {
      ...waiting('rev_7', alertId('ssh')),
      agent: agent('build-runner'),
      sentence: 'build-runner opened ssh to 203.0.113.77 and sent 4.1 MB: take its access away?',
    },
    {
      ...waiting('rev_6', alertId('paste')),
      state: 'verified',
    },
  )
}
