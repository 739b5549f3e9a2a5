import { describe, expect, it } from 'vitest'
import { junitReport, xmlText } from '../../src/cli/report-junit.ts'
import { HOSTILE, RAW_CONTROL } from './heard.ts'
import { madeFinding, madeReport } from './made-report.ts'

describe('junitReport', () => {
  it('has a suite per agent, and fails the one that strayed', () => {
    expect(junitReport(madeReport(), undefined)).toMatchInlineSnapshot(`
      "<?xml version="1.0" encoding="UTF-8"?>
      <testsuites name="bailiwick" tests="2" failures="1" time="0.840">
        <testsuite name="spiffe://acme.example/agent/doc-processor" tests="1" failures="1">
          <testcase classname="spiffe://acme.example/agent/doc-processor" name="stays in its scope">
            <failure message="2 out-of-scope judgements">2 out-of-scope judgements
      [85] doc-processor connected to paste.example.net (203.0.113.9) on tcp/443, which no rule of its scope allows.
        flow 2026-01-05T09:00:00.000250Z 10.1.0.5:40112 &gt; 203.0.113.9:443 (paste.example.net) tcp, uid CHhAvVGS1DHFjwGM9a
        to allow it, add to the scope:
          - domain: paste.example.net
            port: 443
      [80] doc-processor connected to paste.example.net (203.0.113.9) on tcp/443, which no rule of its scope allows.
        flow 2026-01-05T09:00:00.000250Z 10.1.0.5:40113 &gt; 203.0.113.9:443 (paste.example.net) tcp, uid CHhAvVGS1DHFjwGM9a
        to allow it, add to the scope:
          - domain: paste.example.net
            port: 443</failure>
          </testcase>
        </testsuite>
        <testsuite name="spiffe://acme.example/agent/customer-chat" tests="1" failures="0">
          <testcase classname="spiffe://acme.example/agent/customer-chat" name="stays in its scope"/>
        </testsuite>
      </testsuites>
      "
    `)
  })

  it('has a case for each thing that was expected', () => {
    const cases = [
      { agent: 'a', name: 'out_of_scope = 0', mismatch: ['expected 0, found 2', '  flow x'] },
      { agent: 'a', name: '1 alerts', mismatch: [] },
      { agent: '', name: 'unregistered = 0', mismatch: [] },
    ]
    const xml = junitReport(madeReport(), cases)
    expect(xml).toContain('<testsuites name="bailiwick" tests="3" failures="1"')
    expect(xml).toContain(
      '<failure message="expected 0, found 2">expected 0, found 2\n  flow x</failure>',
    )
    expect(xml).toContain('<testcase classname="all agents" name="unregistered = 0"/>')
  })

  it('stays XML, whatever the text', () => {
    for (const hostile of HOSTILE) {
      const xml = junitReport(
        madeReport({ findings: [madeFinding({ sentence: hostile })] }),
        undefined,
      )
      expect(xml).not.toMatch(RAW_CONTROL)
      const bare = xml
        .replace(/<\?xml[^>]*\?>/, '')
        .replace(/<\/?[a-z]+( [a-z]+="[^"<>]*")*\/?>/g, '')
      expect(bare).not.toMatch(/[<>]|&(?!amp;|lt;|gt;|quot;|apos;)/)
      expect(xmlText(hostile)).not.toMatch(/[<>"']/)
    }
  })
})
