import { describe, expect, it } from 'vitest'
import { reportText } from '../../src/cli/report-text.ts'
import { visibleWidth } from '../../src/cli/text-table.ts'
import { noVerdicts, type Report } from '../../src/report.ts'
import { HOSTILE, heard, RAW_CONTROL } from './heard.ts'
import {
  CHAT,
  madeAlert,
  madeDestination,
  madeFinding,
  madeFlow,
  madeInput,
  madeReport,
} from './made-report.ts'

const text = (report: Report, width = 90) => reportText(report, heard({ width }).terminal)

describe('reportText', () => {
  it('reads like this', () => {
    expect(text(madeReport())).toMatchInlineSnapshot(`
      "2 judgements out of scope, by 1 agent.
      21 flows, 21 judgements, from 1 input.

      Flows by agent and verdict
        agent          flows  in scope  out of scope  score  less than certain
        doc-processor     18        16             2     85  1 probable
        customer-chat      3         3             0

      Out of scope
         85 doc-processor connected to paste.example.net (203.0.113.9) on tcp/443, which no rule
            of its scope allows.
            score  +60 out_of_scope (default-deny), +25 public_peer (203.0.113.9 is a
                   public address)
            agent  certain: address 10.1.0.5/32
            rule   default-deny
            flow   2026-01-05T09:00:00.000250Z 10.1.0.5:40112 > 203.0.113.9:443
                   (paste.example.net) tcp, uid CHhAvVGS1DHFjwGM9a; and 1 more flow of the same
                   alert
            allow  - domain: paste.example.net
                     port: 443

      Alerts
        score  alert     flows  rule          who            to
           85  a1b2c3d4      2  default-deny  doc-processor  example.net:443/tcp

      Inputs
        input           format  read
        input/doc.pcap  pcap    300 packets, 40,200 bytes

      Coverage
        seen in pcap: 300 packets, 40,200 bytes, 21 flows
        nothing was dropped, cut or skipped

      Took 0.84 s (open 0.31 s, judge 0.40 s, report 0.13 s). Nothing was kept: give --store to
      keep it.
      "
    `)
  })

  it('says first that nothing strayed, if so', () => {
    const report = madeReport({
      verdicts: { ...noVerdicts(), in_scope: 21 },
      agents: madeReport().agents.map((agent) => ({
        ...agent,
        verdicts: { ...noVerdicts(), in_scope: agent.judgements },
      })),
      findings: [],
      alerts: [],
      totals: { ...madeReport().totals, findings: 0, alerts: 0 },
    })
    const printed = text(report)
    expect(printed.split('\n')[0]).toBe('No agent left its declared scope.')
    expect(printed).not.toContain('Out of scope\n')
  })

  it('never calls unknown in scope', () => {
    const verdicts = { ...noVerdicts(), unknown_name: 4, unattributed: 2 }
    const report = madeReport({ verdicts, agents: [], findings: [], alerts: [] })
    expect(text(report).split('\n').slice(0, 2)).toEqual([
      'No flow belongs to a registered agent.',
      '4 judgements could not be decided: a rule by name was asked, and no name was seen.',
    ])
  })

  it('tells what was lost, in words', () => {
    const coverage = madeReport().coverage.map((row) => ({ ...row, metric: 'skipdata', value: 7 }))
    const reject = {
      source_kind: 'aws',
      reason: 'bad_port',
      count: 3,
      unit: 'line',
      first_at: 12,
      detail: 'srcport is no number',
      sample: 'x',
    }
    const printed = text(madeReport({ coverage, rejects: [reject] }))
    expect(printed).toContain('intervals that the cloud dropped')
    expect(printed).toContain('3 rejects of aws: bad_port, first at line 12: srcport is no number')
    expect(text(madeReport())).toContain('nothing was dropped, cut or skipped')
  })

  it('lists what could not be read, and counts what was passed over', () => {
    const inputs = [
      madeInput(),
      madeInput({
        source: 'gone.pcap',
        format: '',
        state: 'unreadable',
        errors: ['no such file'],
        error_count: 1,
      }),
      madeInput({
        source: 'd/README',
        format: '',
        state: 'unknown',
        named: false,
        errors: ['?'],
        error_count: 1,
      }),
    ]
    const printed = text(madeReport({ inputs }))
    expect(printed).toMatch(/gone\.pcap +not read +no such file/)
    expect(printed).toContain('1 file of other formats passed over')
    expect(printed).not.toContain('README')
  })

  it('fits the terminal', () => {
    for (const width of [80, 100, 120]) {
      const report = madeReport({ inputs: [madeInput({ source: 'a.pcap' })] })
      for (const line of text(report, width).split('\n'))
        expect(visibleWidth(line), line).toBeLessThanOrEqual(width)
    }
  })

  it('names agents that were not seen', () => {
    const [doc, chat] = madeReport().agents
    const report = madeReport({ agents: [doc!, { ...chat!, flows: 0, judgements: 0 }] })
    expect(text(report)).toContain('no flow of their own: customer-chat')
    expect(text(report)).not.toContain(CHAT)
  })

  it('lets nothing from outside act on a terminal', () => {
    for (const hostile of HOSTILE) {
      const finding = madeFinding({
        sentence: hostile,
        destination: hostile,
        evidence: [hostile],
        mend: hostile,
        flow: madeFlow({ server_name: hostile }),
        reasons: [{ code: hostile, weight: 1, evidence: hostile }],
      })
      const report = madeReport({
        findings: [finding],
        alerts: [madeAlert({ destination: hostile, rule: hostile, agent: hostile })],
        destinations: [madeDestination({ destination: hostile })],
        inputs: [madeInput({ source: hostile, errors: [hostile], error_count: 1 })],
        unregistered: [
          {
            address: hostile,
            flows: 1,
            first: hostile,
            last: hostile,
            destinations: [hostile],
            score: 1,
          },
        ],
        warnings: [hostile],
        rejects: [
          {
            source_kind: hostile,
            reason: hostile,
            count: 1,
            unit: 'line',
            first_at: 1,
            detail: hostile,
            sample: hostile,
          },
        ],
      })
      expect(text(report)).not.toMatch(RAW_CONTROL)
    }
  })
})
