import { describe, expect, it } from 'vitest'
import { parseNetwork } from '../../src/address.ts'
import { chunkPart } from '../../src/chunk.ts'
import { FLOW_FORMATS, type FlowFormatName, flowFormat } from '../../src/cli/flow-format.ts'
import { FlowWriter } from '../../src/cli/flow-writer.ts'
import { HOSTILE, RAW_CONTROL } from './heard.ts'
import { decoded, type MadeFlow } from './made-flows.ts'

function print(flows: readonly MadeFlow[], name: FlowFormatName, source = 'a.pcap', local = false) {
  const nets = local ? [parseNetwork('10.0.0.0/8')!] : []
  const writer = new FlowWriter(flowFormat(name, local), nets)
  const block = chunkPart(decoded(flows), 'flow_records')!
  const write = writer.bind(block, source)
  for (let row = 0; row < block.rows; row++) write(row)
  return writer.take().toString('utf8')
}

const WEB: MadeFlow = {
  id: 1,
  duration: 0.1,
  counts: {
    orig_bytes: 517,
    resp_bytes: 3000,
    missed_bytes: 0,
    orig_pkts: 5,
    orig_ip_bytes: 777,
    resp_pkts: 6,
    resp_ip_bytes: 3312,
  },
  words: {
    service: 'ssl',
    conn_state: 'SF',
    history: 'ShADadFf',
    server_name: 'api.example.com',
    name_source: 'sni',
    community_id: '1:LQU9qZlK+B5F3KDmev6m5PMibrg=',
  },
}

/** What a log knows of a flow that it barely saw. */
const BARE: MadeFlow = {
  id: 2,
  kind: 'aws',
  orig: ['fd00::1', 0],
  resp: ['2001:db8::2', 0],
  proto: 58,
}

describe('NDJSON', () => {
  it('is one object a flow, with the names and order of the contract', () => {
    expect(print([WEB], 'ndjson')).toBe(
      '{"source":"a.pcap","flow_id":"00000000-0000-0000-0000-000000000001",' +
        '"uid":"C0000000000000000","ts":1767603600.000250,"id.orig_h":"10.0.0.5","id.orig_p":40000,' +
        '"id.resp_h":"203.0.113.9","id.resp_p":443,"proto":"tcp","ip_proto":6,"service":"ssl",' +
        '"duration":0.100000,"orig_bytes":517,"resp_bytes":3000,"conn_state":"SF","missed_bytes":0,' +
        '"history":"ShADadFf","orig_pkts":5,"orig_ip_bytes":777,"resp_pkts":6,"resp_ip_bytes":3312,' +
        '"community_id":"1:LQU9qZlK+B5F3KDmev6m5PMibrg=","server_name":"api.example.com",' +
        '"name_source":"sni","direction_sure":true}\n',
    )
  })

  it('omits what is unset, and keeps a zero that was counted', () => {
    const flow = JSON.parse(print([BARE], 'ndjson'))
    expect(flow).toMatchObject({
      'id.orig_h': 'fd00::1',
      'id.resp_h': '2001:db8::2',
      proto: 'icmp',
    })
    for (const name of [
      'duration',
      'orig_bytes',
      'service',
      'vlan',
      'tunnel_parents',
      'server_name',
    ])
      expect(flow).not.toHaveProperty(name)
    expect(JSON.parse(print([WEB], 'ndjson')).missed_bytes).toBe(0)
  })

  it("keeps a source's own uid, lists and VLANs", () => {
    const flow = { ...WEB, uid: 'CHhAvVGS1DHFjwGM9', vlan: 12, lists: { anomalies: ['a', 'b'] } }
    expect(JSON.parse(print([flow], 'ndjson'))).toMatchObject({
      uid: 'CHhAvVGS1DHFjwGM9',
      vlan: 12,
      anomalies: ['a', 'b'],
    })
  })

  it('tells local ends where networks are given', () => {
    const flow = JSON.parse(print([WEB], 'ndjson', 'a.pcap', true))
    expect([flow.local_orig, flow.local_resp]).toEqual([true, false])
  })

  it('reads back to the text that was stored, whatever it is', () => {
    for (const text of HOSTILE) {
      const flow = { ...WEB, words: { ...WEB.words, server_name: text, community_id: text } }
      const parsed = JSON.parse(print([{ ...flow, uid: text }], 'ndjson', text))
      const stored = Buffer.from(text).toString() // lone surrogates do not survive UTF-8
      expect(parsed).toMatchObject({ server_name: stored, community_id: stored, uid: stored })
    }
  })
})

describe('CSV', () => {
  it('has a header and as many cells in every row', () => {
    const [header, first, second] = print([WEB, BARE], 'csv').split('\n') as [
      string,
      string,
      string,
    ]
    expect(header.startsWith('source,flow_id,uid,ts,id.orig_h')).toBe(true)
    expect(first.split(',').length).toBe(header.split(',').length)
    expect(second.split(',').length).toBe(header.split(',').length)
  })

  it('holds no cell that a spreadsheet would run', () => {
    for (const text of HOSTILE) {
      const words = { ...WEB.words, server_name: text, community_id: text, user_agent: text }
      const row = print([{ ...WEB, uid: text, words }], 'csv', text).split('\n')[1]!
      const cells = row.match(/("([^"]|"")*"|[^,]*)(,|$)/g)!.map((cell) => cell.replace(/,$/, ''))
      for (const cell of cells) expect(cell.replace(/^"/, '')).not.toMatch(/^[=+\-@\t\r\0＝＋－＠]/)
    }
  })
})

describe('Zeek', () => {
  it('has its headers, and as many fields and types as values', () => {
    const lines = print([WEB, BARE], 'zeek').trimEnd().split('\n')
    expect(lines[0]).toBe('#separator \\x09')
    const fields = lines
      .find((line) => line.startsWith('#fields'))!
      .split('\t')
      .slice(1)
    const types = lines
      .find((line) => line.startsWith('#types'))!
      .split('\t')
      .slice(1)
    const rows = lines.filter((line) => !line.startsWith('#')).map((line) => line.split('\t'))
    expect(types.length).toBe(fields.length)
    expect(rows.map((row) => row.length)).toEqual([fields.length, fields.length])
    expect(fields.slice(0, 6)).toEqual([
      'ts',
      'uid',
      'id.orig_h',
      'id.orig_p',
      'id.resp_h',
      'id.resp_p',
    ])
    expect(rows[0]!.slice(6, 12)).toEqual(['tcp', 'ssl', '0.100000', '517', '3000', 'SF'])
    expect(rows[1]!.slice(7, 10)).toEqual(['-', '-', '-'])
  })

  it('tells a dash that was seen from one that means unset', () => {
    const flow = { ...WEB, words: { server_name: '-', community_id: '(empty)' } }
    const line = print([flow], 'zeek').trimEnd().split('\n').at(-1)!
    expect(line).toContain('\\x2d')
    expect(line).toContain('\\x28empty)')
  })
})

describe('every format', () => {
  it('lets nothing through that a terminal would obey', () => {
    for (const name of FLOW_FORMATS)
      for (const text of HOSTILE) {
        const words = { ...WEB.words, server_name: text, user_agent: text, community_id: text }
        const lists = { anomalies: [text, text], dns_names: [text] }
        const printed = print([{ ...WEB, uid: text, words, lists }], name, text)
        const withoutTabs = name === 'zeek' ? printed.replaceAll('\t', ' ') : printed
        expect(withoutTabs).not.toMatch(RAW_CONTROL)
        expect(printed.split('\n').length).toBe(name === 'ndjson' ? 2 : name === 'csv' ? 3 : 9)
      }
  })
})
