// Which findings may take access away: only those that nobody could have forged from outside. And the request that comes
// of it: values from the wire stay in their places.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GRADES, HANDSHAKES, SIDES } from '../../src/flow.ts'
import type { FindingEvent } from '../../src/respond/finding.ts'
import { capReached, isLate, withheldBy } from '../../src/respond/revoke-guards.ts'
import { matchesAgent, REVOCATION } from '../../src/respond/revoke-settings.ts'
import {
  fillTemplate,
  templateProblems,
  templateValues,
} from '../../src/respond/revoke-template.ts'
import { finding } from './one-finding.ts'

const settings = REVOCATION.parse({
  mode: 'auto',
  endpoints: [
    {
      name: 'platform',
      url: `https://iam.example.com/agents/\${agent}/disable`,
      agents: ['spiffe://prod/*'],
    },
  ],
  protected: ['spiffe://prod/root'],
  attempt_rules: ['no-metadata'],
})

describe('a guard', () => {
  test.each<[string, Partial<FindingEvent>, string | undefined]>([
    ['a connection that a certain agent completed', {}, undefined],
    ['a host of nobody', { kind: 'unregistered', agent: '' }, 'kind'],
    ['an agent that nobody may revoke', { agent: 'spiffe://prod/root' }, 'protected'],
    ['an agent of another platform', { agent: 'spiffe://test/a' }, 'endpoint'],
    ['a weak attribution', { grade: 'probable' }, 'grade'],
    ['a direction that was guessed', { directionSure: false }, 'direction'],
    ['a connection to the agent', { side: 'resp', direction: 'ingress' }, 'direction'],
    ['an attempt', { handshake: 'unanswered' }, 'handshake'],
    [
      'an attempt against a rule that asks for no more',
      { handshake: 'unanswered', rule: 'no-metadata' },
      undefined,
    ],
    ['a score that is no number', { score: Number.NaN }, 'score'],
  ])('of %s', (_, changed, withheld) => {
    expect(withheldBy({ ...finding, ...changed }, settings)).toBe(withheld)
  })

  test('lets nothing through that is not certain, sure and completed', () => {
    const any = fc.record({
      grade: fc.constantFrom(...GRADES),
      handshake: fc.constantFrom(...HANDSHAKES),
      side: fc.constantFrom(...SIDES),
      direction: fc.constantFrom('egress', 'ingress', ''),
      directionSure: fc.boolean(),
      score: fc.double(),
    })
    fc.assert(
      fc.property(any, (changed) => {
        const through = withheldBy({ ...finding, ...changed }, settings) === undefined
        const strong =
          changed.grade === 'certain' &&
          changed.handshake === 'completed' &&
          changed.side === 'orig' &&
          changed.direction === 'egress' &&
          changed.directionSure &&
          changed.score >= 0
        expect(through).toBe(strong)
      }),
    )
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1.5, 1e308, '3', null])(
    'is not switched off by a limit of %s',
    (limit) => {
      for (const key of ['per_hour', 'deadline_seconds', 'watch_seconds'])
        expect(REVOCATION.safeParse({ [key]: limit }).success).toBe(false)
    },
  )

  test('knows what is late, and does not trust a time ahead of its own', () => {
    const now = finding.decidedAt / 1000
    expect(isLate(finding, settings, now + 300_000)).toBe(false)
    expect(isLate(finding, settings, now + 300_001)).toBe(true)
    expect(isLate(finding, settings, now - 60_001)).toBe(true)
    expect(isLate({ ...finding, decidedAt: Number.NaN }, settings, now)).toBe(true)
  })

  test('counts the calls of an hour, and those of a clock that was set back', () => {
    const now = 1e12
    expect(capReached([now - 3_600_000, now - 1, now - 2], settings, now)).toBe(false)
    expect(capReached([now - 3, now - 1, now - 2], settings, now)).toBe(true)
    expect(capReached([now + 9e9, now + 9e9, now + 9e9], settings, now)).toBe(true)
  })

  test('means an agent, or all whose id begins so', () => {
    expect(matchesAgent(['spiffe://a/*'], 'spiffe://a/b')).toBe(true)
    expect(matchesAgent(['spiffe://a/b'], 'spiffe://a/bc')).toBe(false)
  })
})

describe('a template', () => {
  const [endpoint] = settings.endpoints

  test('fills in the finding', () => {
    const request = fillTemplate(endpoint!, templateValues('r1', finding))
    expect(request).toMatchObject({
      method: 'POST',
      url: 'https://iam.example.com/agents/spiffe%3A%2F%2Fprod%2Fbot/disable',
    })
    expect(JSON.parse(request.body)).toMatchObject({ revocation: 'r1', agent: finding.agent })
  })

  test('keeps whatever comes off the wire in its place', () => {
    const template = {
      ...endpoint!,
      url: `https://iam.example.com/a/\${destination}?x=\${sentence}`,
      headers: { 'X-Why': `because \${sentence}` },
      body: { say: [`\${sentence}`] },
    }
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const hostile = { ...finding, destination: text, sentence: text }
        const { url, headers, body } = fillTemplate(template, templateValues('r1', hostile))
        expect(new URL(url).host).toBe('iam.example.com')
        expect(new URL(url).searchParams.get('x')).toBe(text)
        expect(headers['x-why']).toMatch(/^because [\x20-\x7e]*$/)
        expect(JSON.parse(body)).toEqual({ say: [text] })
      }),
    )
  })

  test('is refused if it names what there is not, or lets a finding choose the host', () => {
    expect(templateProblems(endpoint!)).toEqual([])
    const [unknown] = templateProblems({ ...endpoint!, body: { a: ['x', `\${secret}`] } })
    expect(unknown!.keys).toEqual(['body', 'a', 1])
    expect(unknown!.words).toContain(`\${secret} is not known`)
    expect(templateProblems({ ...endpoint!, url: `https://\${destination}/x` })).toEqual([
      { keys: ['url'], words: 'the host of the URL must not depend on a finding' },
    ])
    const [open] = templateProblems({ ...endpoint!, body: { a: `\${agent` } })
    expect(open).toEqual({ keys: ['body', 'a'], words: `\`\${\` without its \`}\`` })
  })

  test.each([
    ['authorization', 'Bearer abc', 'secrets do not stand in settings files'],
    ['X-Api-Key', 'abc', 'secrets do not stand in settings files'],
    ['Webhook-Id', 'mine', 'is set by the sender itself'],
    ['Host', 'elsewhere.example', 'is set by the sender itself'],
    ['X-Why', 'two\nlines', 'one line'],
  ])('does not set the header %s: %j', (name, text, words) => {
    const problems = templateProblems({ ...endpoint!, headers: { [name]: text } })
    expect(problems).toEqual([
      { keys: ['headers', name], words: expect.stringContaining(words) as string },
    ])
  })

  test('holds no secret in its URL', () => {
    const url = 'https://iam.example.com/x?a=1&api_key=abc'
    expect(templateProblems({ ...endpoint!, url })[0]?.words).toContain('secrets do not stand')
  })
})
