import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAddress } from '../../src/address.ts'
import {
  endpointOfAddress,
  endpointOfName,
  looksLikeAgent,
  openEndpoints,
} from '../../src/detect/unregistered.ts'
import { loadEndpoints } from '../../src/identity/endpoint-file.ts'
import { formatProblem } from '../../src/identity/yaml-file.ts'

const url = new URL('../../data/agent-endpoints.yaml', import.meta.url)
const bundled = loadEndpoints({ path: 'agent-endpoints.yaml', text: readFileSync(url, 'utf8') })
const book = openEndpoints(bundled.endpoints)

test('the bundled list is sound, and names each pattern once', () => {
  expect(bundled.problems).toEqual([])
  const patterns = bundled.endpoints.map(({ match }) => match)
  expect(new Set(patterns).size).toBe(patterns.length)
})

test.each<[string, string]>([
  ['api.openai.com', 'OpenAI api agent'],
  ['x.api.openai.com', 'OpenAI api agent'],
  ['api.us-west.openai.com', 'OpenAI api agent'],
  ['openai.com', 'nothing'],
  ['api.openai.com.evil.example', 'nothing'],
  ['notapi.openai.com', 'nothing'],
  ['chatgpt.com', 'OpenAI chat_ui person'],
  ['bedrock-runtime.eu-west-1.amazonaws.com', 'Amazon Bedrock api agent'],
  ['bedrock-runtime.amazonaws.com', 'nothing'],
  ['s3.eu-west-1.amazonaws.com', 'nothing'],
  ['europe-west4-aiplatform.googleapis.com', 'Google api agent'],
  ['aiplatform.europe-west4.rep.googleapis.com', 'Google api agent'],
  ['acme-prod.openai.azure.com', 'Microsoft Azure api agent'],
  ['api.business.githubcopilot.com', 'GitHub Copilot agent_tool agent'],
  ['docs.mcp.cloudflare.com', 'Cloudflare mcp agent'],
  ['api.smith.langchain.com', 'LangSmith infra agent'],
  ['com', 'nothing'],
  ['', 'nothing'],
])('%s is %s', (name, expected) => {
  const found = endpointOfName(book, name)
  const who = looksLikeAgent(found) ? 'agent' : 'person'
  expect(found === undefined ? 'nothing' : `${found.provider} ${found.role} ${who}`).toBe(expected)
})

test.each<[string, string | undefined]>([
  ['160.79.104.10', 'Anthropic'],
  ['160.79.106.1', undefined],
  ['2607:6bc0::10', 'Anthropic'],
])('the address %s is published by %s', (address, provider) => {
  expect(endpointOfAddress(book, parseAddress(address)!, 0)?.provider).toBe(provider)
})

test('a mistake in a list is told where it stands', () => {
  const text = `version: "1"
endpoints:
  - { provider: X, role: app, match: api.x.example, evidence: e }
  - { provider: X, role: api, match: [com, "a.*.example", "a b.example"], evidence: e }
  - { provider: X, role: api, matches: x.example, evidence: e }
`
  expect(loadEndpoints({ path: 'e.yaml', text }).problems.map(formatProblem)).toEqual([
    'e.yaml:3:26: error: `endpoints[0].role`: expected one of api, agent_tool, chat_ui, infra, mcp, found app (did you mean api?)',
    'e.yaml:4:39: error: `endpoints[1].match[0]`: expected a host name, which may hold * before the last two labels, or a CIDR, found com',
    'e.yaml:4:44: error: `endpoints[1].match[1]`: expected a host name, which may hold * before the last two labels, or a CIDR, found a.*.example',
    'e.yaml:4:59: error: `endpoints[1].match[2]`: expected a host name, which may hold * before the last two labels, or a CIDR, found a b.example',
    'e.yaml:5:5: error: `endpoints[2].match` is missing: expected a list',
    'e.yaml:5:31: error: unknown key `matches`: expected one of provider, role, match, evidence (did you mean match?)',
  ])
})
