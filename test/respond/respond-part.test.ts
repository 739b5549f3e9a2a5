// The part `respond` of settings files: what it may say, and that each mistake is told at its place, before anything
// starts, in words that repeat no secret.

import { expect, test } from 'vitest'
import { shownSetting } from '../../src/setting-table.ts'
import { readSettings } from '../../src/settings.ts'

const read = (text: string, env: Record<string, string> = {}) =>
  readSettings({ env, flags: {}, files: [{ path: '/etc/b/config.yaml', text }] })
const words = (text: string, env: Record<string, string> = {}) =>
  read(text, env).problems.map((one) => one.words)

const GOOD = `respond:
  webhooks:
    - name: soc
      url: https://hooks.example.com/services/s3cr3t-path
      secret_file: secrets/soc
      kinds: [out_of_scope]
      min_score: 40
      group_seconds: 2.5
    - name: on-call
      url: http://10.1.2.3:8080/alerts
  allow_targets: [10.1.0.0/16]
  revocation:
    mode: approve
    protected: ["spiffe://prod/payments*"]
    endpoints:
      - name: iam
        url: https://iam.example.com/agents/\${agent}/disable
        headers: {X-Why: "\${rule}"}
        body: {id: "\${revocation}", text: ["\${sentence}", null]}
        secret_file: /run/secrets/iam
`
const ENV = { BAILIWICK_WEBHOOK_SECRET_ON_CALL: 'whsec_abcdefgh' }

test('says whom to tell and who takes access away; secrets stand elsewhere', () => {
  const { problems, settings } = read(GOOD, ENV)
  expect(problems).toEqual([])
  const { webhooks, revocation, secrets } = settings.respond
  expect(webhooks[0]).toMatchObject({ name: 'soc', kinds: ['out_of_scope'], group_seconds: 2.5 })
  expect(revocation).toMatchObject({ mode: 'approve', per_hour: 3, watch_seconds: 90 })
  expect(secrets.webhooks.get('soc')).toEqual({
    source: { file: '/etc/b/secrets/soc' },
    place: '/etc/b/config.yaml:5:20',
  })
  expect(secrets.webhooks.get('on-call')?.place).toBe('BAILIWICK_WEBHOOK_SECRET_ON_CALL')
  expect(secrets.revocations.get('iam')?.source).toEqual({ file: '/run/secrets/iam' })
  // Nothing that prints settings prints a secret.
  expect(JSON.stringify([settings.respond, [...secrets.webhooks]])).not.toContain('whsec_')
})

test('is shown without what may be secret', () => {
  const { values } = read(GOOD, ENV)
  const webhooks = shownSetting('respond.webhooks', values['respond.webhooks'])
  expect(webhooks).toContain('"url":"https://hooks.example.com/…"')
  const revocation = shownSetting('respond.revocation', values['respond.revocation'])
  expect(revocation).toContain('"headers":["X-Why"]')
  expect(webhooks + revocation).not.toMatch(/s3cr3t|sentence/)
})

test('may be JSON in the environment', () => {
  const webhooks = JSON.stringify([{ name: 'soc', url: 'https://hooks.example.com/x' }])
  const env = { BAILIWICK_RESPOND_WEBHOOKS: webhooks, BAILIWICK_WEBHOOK_SECRET_SOC: 'whsec_abcd' }
  const { problems, settings } = read('', env)
  expect([problems, settings.respond.webhooks.length]).toEqual([[], 1])
  expect(words('', { BAILIWICK_RESPOND_WEBHOOKS: '[{"name":"soc","url":"s3cr3t"' })).toEqual([
    'BAILIWICK_RESPOND_WEBHOOKS: expected a list of webhooks (docs/webhooks.md)',
  ])
})

const webhook = (line: string, more = '') =>
  `respond:\n  webhooks:\n    - name: soc\n      ${line}\n      secret_file: x\n${more}`
const endpoint = (line: string) =>
  `respond:\n  revocation:\n    mode: auto\n    endpoints:\n      - name: iam\n        url: https://iam.example.com/x\n        secret_file: x\n        ${line}\n`

test.each([
  [
    webhook('url: ftp://files.example.com/s3cr3t'),
    '4:12',
    'expected https://host/path, found ftp:',
  ],
  [webhook('url: https://user:s3cr3t@h.example/'), '4:12', 'user or password'],
  [webhook('url: http://169.254.169.254/s3cr3t'), '4:12', 'clouds keep metadata'],
  [
    webhook('url: https://127.0.0.1:8443/s3cr3t'),
    '4:12',
    'is loopback: not sent (name its network',
  ],
  [webhook('url: [s3cr3t]'), '4:12', '`respond.webhooks[0].url`: expected a URL such as'],
  [
    webhook('url: https://h.example/s3cr3t\n      secretfile: s3cr3t'),
    '5:7',
    'did you mean secret_file?',
  ],
  [
    webhook('url: https://h.example/s3cr3t\n      min_score: 101'),
    '5:18',
    'a score from 0 to 100, found 101',
  ],
  [webhook('url: https://h.example/s3cr3t\n      kinds: [Out]'), '5:15', 'a kind of alert'],
  [
    webhook(
      'url: https://h.example/s3cr3t',
      '    - name: soc\n      url: https://i.example/\n      secret_file: y\n',
    ),
    '6:13',
    'two of the name soc',
  ],
  [endpoint(`body: {a: ["\${secret}"]}`), '8:20', `\${secret} is not known; there are revocation`],
  [
    endpoint('headers: {Authorization: Bearer s3cr3t}'),
    '8:34',
    'secrets do not stand in settings files',
  ],
  [endpoint('method: GET'), '8:17', 'expected one of POST, PUT, PATCH, DELETE, found GET'],
  [endpoint('agents: ["a*b"]'), '8:18', 'the beginning of one with * at its end'],
  [
    endpoint('').replace('    mode: auto', '    mode: auto\n    per_hour: .inf'),
    '4:15',
    'expected a number',
  ],
  [
    endpoint('').replace('    mode: auto', '    mode: auto\n    per_hour: -1'),
    '4:15',
    'a whole number from 1 to 1000, found -1',
  ],
  ['respond:\n  revocation:\n    mode: auto\n', '3:11', 'mode auto needs an endpoint'],
])('a mistake is told at its place: %j', (text, place, expected) => {
  const [first, ...others] = words(text)
  expect(first).toContain(`/etc/b/config.yaml:${place}: `)
  expect(first).toContain(expected)
  expect([first, ...others].join()).not.toContain('s3cr3t')
})

test('a secret is asked for where there is none, and one that nobody reads is told of', () => {
  const text = 'respond:\n  webhooks: [{name: a-b, url: "https://h.example/"}]\n'
  expect(words(text)).toEqual([
    '/etc/b/config.yaml:2:14: `webhooks[0]`: `a-b` needs a secret to sign with: give `secret_file`, or set BAILIWICK_WEBHOOK_SECRET_A_B',
  ])
  const [, warning] = words(text, { BAILIWICK_WEBHOOK_SECRET_AB: 'whsec_abcdefgh' })
  expect(warning).toContain('did you mean BAILIWICK_WEBHOOK_SECRET_A_B?')
})
