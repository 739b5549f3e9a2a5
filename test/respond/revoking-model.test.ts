// Revocation under anything at once: findings, people, clocks that jump, settings that change, an API that fails, and a
// process that dies between any two steps. Whatever the order, nothing is called that must not be.

import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AuditRecord, checkAudit } from '../../src/respond/audit-chain.ts'
import { AUDIT_NAME } from '../../src/respond/audit-log.ts'
import type { FindingEvent } from '../../src/respond/finding.ts'
import { Hub } from '../../src/respond/hub.ts'
import type { CallOutcome } from '../../src/respond/revoke-call.ts'
import { RevocationRefused } from '../../src/respond/revoke-desk.ts'
import { REVOCATION, type RevocationMode } from '../../src/respond/revoke-settings.ts'
import { Revoking } from '../../src/respond/revoking.ts'
import { finding } from './one-finding.ts'

const START = finding.decidedAt / 1000
const MINUTE = 60_000
const PER_HOUR = 2
const DEADLINE = 300_000
const APPROVAL = 3_600_000

interface Call {
  agent: string
  id: string
  /** By the wall clock, and by one that nobody sets. */
  at: number
  steady: number
  killed: boolean
  mode: RevocationMode
  protectedNow: boolean
  process: number
}

/** A desk that dies and comes back, the world around it, and what the world saw. */
class World {
  directory = mkdtempSync(path.join(tmpdir(), 'revoking-model-'))
  readonly #before: { desk: Revoking; directory: string }[] = []
  readonly calls: Call[] = []
  readonly findings = new Map<string, FindingEvent>()
  readonly approvedAt = new Map<string, number>()
  wall = START
  steady = 0
  process = 0
  mode: RevocationMode = 'auto'
  protects: string[] = []
  answer: CallOutcome = { kind: 'done', status: 200 }
  /** The process dies in the call: its answer reaches nobody. */
  dies = false
  killed = false
  desk!: Revoking

  settings() {
    return REVOCATION.parse({
      mode: this.mode,
      endpoints: [{ name: 'platform', url: 'https://platform.example/revoke' }],
      protected: this.protects,
      ...{ per_hour: PER_HOUR, grace_seconds: 1, watch_seconds: 10 },
    })
  }

  async open(): Promise<void> {
    const process = ++this.process
    this.desk = await Revoking.open({
      ...{ directory: this.directory, settings: this.settings(), hub: new Hub(() => {}) },
      log: () => {},
      call: async (_, { body }, id, signal) => {
        const nothing = new Promise<CallOutcome>((resolve) => {
          signal.addEventListener('abort', () => resolve(ANSWERS.busy!))
        })
        // Of a process that is dead nothing is heard any more.
        if (process !== this.process) return await nothing
        const { agent } = JSON.parse(body) as { agent: string }
        this.calls.push({
          ...{ agent, id, process, at: this.wall, steady: this.steady },
          ...{ killed: this.killed, mode: this.mode },
          protectedNow: this.protects.includes(agent),
        })
        return this.dies ? await nothing : this.answer
      },
      activity: async () => ({ lastSeen: undefined, watchedUntil: this.wall * 1000 }),
      now: () => this.wall,
      steady: () => this.steady,
      pauses: { lookMillis: 1, retryMillis: [1] },
    })
  }

  /** As kill -9: what is on the disk in this moment is all that the next process has. */
  async crash(): Promise<void> {
    const { desk, directory } = this
    this.#before.push({ desk, directory })
    this.directory = mkdtempSync(path.join(tmpdir(), 'revoking-model-'))
    copyFileSync(path.join(directory, AUDIT_NAME), path.join(this.directory, AUDIT_NAME))
    await this.open()
  }

  /** Until nothing happens by itself. */
  async calm(): Promise<void> {
    for (let quiet = 0, last = ''; quiet < 4; ) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      const now = `${this.records().length} ${this.calls.length}`
      quiet = now === last ? quiet + 1 : 0
      last = now
    }
  }

  records(): AuditRecord[] {
    const records: AuditRecord[] = []
    const text = readFileSync(path.join(this.directory, AUDIT_NAME), 'utf8')
    const { broken } = checkAudit(text, (record) => records.push(record))
    expect(broken).toBeUndefined()
    return records
  }

  async close(): Promise<void> {
    for (const { desk, directory } of [...this.#before, this]) {
      await desk.close()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

const agentOf = (number: number) => `spiffe://model/${number}`

/** What the world may do; numbers are of agents, and of minutes. */
const STEP = fc.oneof(
  { weight: 5, arbitrary: fc.record({ finding: fc.nat(4), weak: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ approve: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ reject: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kill: fc.boolean() }) },
  { weight: 3, arbitrary: fc.constantFrom({ crash: true as const }) },
  { weight: 2, arbitrary: fc.record({ later: fc.integer({ min: 1, max: 70 }) }) },
  { weight: 2, arbitrary: fc.record({ clock: fc.constantFrom(-61, -60, -1, 1, 60, 61) }) },
  { weight: 1, arbitrary: fc.record({ mode: fc.constantFrom('observe', 'approve', 'auto') }) },
  { weight: 1, arbitrary: fc.record({ protect: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ api: fc.constantFrom('done', 'busy', 'no', 'dies') }) },
)
type Step = Partial<{
  finding: number
  weak: boolean
  approve: number
  reject: number
  kill: boolean
  crash: true
  later: number
  clock: number
  mode: string
  protect: number
  api: string
}>

const ANSWERS: Readonly<Record<string, CallOutcome>> = {
  done: { kind: 'done', status: 200 },
  busy: { kind: 'failed', why: 'the API answered 503', final: false },
  no: { kind: 'failed', why: 'the API answered 403', final: true },
}

async function apply(world: World, step: Step): Promise<void> {
  const { desk } = world
  if (step.finding !== undefined) {
    const agent = agentOf(step.finding)
    const one: FindingEvent = {
      ...finding,
      ...{ agent, ts: world.wall * 1000, decidedAt: world.wall * 1000 },
      ...(step.weak === true ? { grade: 'probable' as const } : {}),
    }
    world.findings.set(agent, one)
    await desk.take([one])
  }
  const waiting = desk.list().filter(({ state }) => state === 'waiting')
  const allowed = (promise: Promise<unknown>) =>
    promise.catch((error: unknown) => {
      if (!(error instanceof RevocationRefused)) throw error
    })
  if (step.approve !== undefined) {
    // Twice at once: two people, or one who is impatient.
    const one = waiting[step.approve % Math.max(1, waiting.length)]
    if (one !== undefined)
      await Promise.all(
        ['alice', 'bob'].map((who) =>
          allowed(desk.approve(one.id, who).then(() => world.approvedAt.set(one.id, world.wall))),
        ),
      )
  }
  if (step.reject !== undefined) {
    const one = waiting[step.reject % Math.max(1, waiting.length)]
    if (one !== undefined) await allowed(desk.reject(one.id, 'carol', 'no'))
  }
  if (step.kill !== undefined) {
    // On from the moment that somebody asks for it.
    world.killed = step.kill
    await desk.kill(step.kill, 'alice')
  }
  if (step.later !== undefined) {
    world.wall += step.later * MINUTE
    world.steady += step.later * MINUTE
  }
  if (step.clock !== undefined) world.wall += step.clock * MINUTE
  if (step.mode !== undefined) world.mode = step.mode as RevocationMode
  if (step.protect !== undefined) world.protects = [agentOf(step.protect)]
  if (step.mode !== undefined || step.protect !== undefined) desk.reload(world.settings())
  if (step.api !== undefined) {
    world.dies = step.api === 'dies'
    world.answer = ANSWERS[step.api] ?? world.answer
  }
  if (step.crash === true) await world.crash()
}

/** What must hold of every call that the API saw. */
function checkCalls({
  calls,
  records,
  approvedAt,
}: {
  calls: Call[]
  records: AuditRecord[]
  approvedAt: Map<string, number>
}): void {
  const asked = new Map(
    records.flatMap(({ subject, detail }) =>
      'finding' in detail ? [[subject, detail.finding as FindingEvent] as const] : [],
    ),
  )
  for (const { agent, id, at, killed, mode, protectedNow } of calls) {
    const evidence = asked.get(id.replace('rev_', ''))
    expect(evidence, `${id} was never asked for`).toMatchObject({ agent, grade: 'certain' })
    expect([killed, protectedNow], `${agent} is called`).toEqual([false, false])
    expect(mode).not.toBe('observe')
    const approved = approvedAt.get(id.replace('rev_', ''))
    const age = at - evidence!.decidedAt / 1000
    // A person's yes holds for an hour after it was asked for; by itself it is five minutes.
    expect(age, `${agent} by evidence of ${age / 1000} s`).toBeLessThanOrEqual(
      approved === undefined ? DEADLINE : APPROVAL + DEADLINE,
    )
    if (approved === undefined) expect(mode).toBe('auto')
  }
}

/** Distinct revocations that were first called within any hour of the clock that nobody set, in one process. */
function mostInAnHour(calls: readonly Call[]): number {
  const first = [...new Map([...calls].reverse().map((call) => [call.id, call])).values()]
  return Math.max(
    0,
    ...first.map(
      (one) =>
        first.filter(
          ({ steady, process }) =>
            process === one.process && steady >= one.steady && steady < one.steady + 60 * MINUTE,
        ).length,
    ),
  )
}

test('nothing is called that must not be, in whatever order things happen', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(STEP, fc.boolean()), { minLength: 1, maxLength: 25 }),
      async (steps) => {
        const world = new World()
        await world.open()
        try {
          for (const [step, hasty] of steps) {
            await apply(world, step as Step)
            // Now and then the next thing comes before what began is over.
            if (!hasty) await world.calm()
          }
          await world.calm()
          const records = world.records()
          checkCalls({ calls: world.calls, records, approvedAt: world.approvedAt })
          expect(mostInAnHour(world.calls)).toBeLessThanOrEqual(PER_HOUR)
          // One id for one thing; and what is called under it was written down before.
          const began = new Set(
            records.filter((one) => one.action === 'revocation.calling').map((one) => one.subject),
          )
          for (const { id } of world.calls) expect(began).toContain(id.replace('rev_', ''))
        } finally {
          await world.close()
        }
      },
    ),
    { numRuns: 60 },
  )
})
