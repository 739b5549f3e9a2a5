// The names of AWS flow log fields, and where in a line each field that is read stands. Fields are found by name,
// from the header line; only the two default formats may come without one.

/** Fields that become part of a flow record; every other known field is passed over. */
export const AWS_READ = [
  'interface-id',
  'srcaddr',
  'dstaddr',
  'srcport',
  'dstport',
  'protocol',
  'packets',
  'bytes',
  'start',
  'end',
  'action',
  'log-status',
  'tcp-flags',
  'pkt-srcaddr',
  'pkt-dstaddr',
  'flow-direction',
  'tgw-attachment-id',
] as const
export type AwsField = (typeof AWS_READ)[number]

/** Where a field of AWS_READ stands in a line, -1 if the format does not have it. */
export type AwsPlan = Readonly<Record<AwsField, number>> & { readonly count: number }

const V2_DEFAULT =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status'

/** Transit Gateway flow logs, version 6; their second token is `TransitGateway`. */
const TRANSIT_GATEWAY_DEFAULT =
  'version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id ' +
  'tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni tgw-src-az-id ' +
  'tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end ' +
  'log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded ' +
  'packets-lost-ttl-expired tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service'

/** All names known: what a header line is recognised by. */
const KNOWN = new Set(
  [
    V2_DEFAULT,
    TRANSIT_GATEWAY_DEFAULT,
    'vpc-id subnet-id instance-id pkt-srcaddr pkt-dstaddr az-id sublocation-type sublocation-id traffic-path',
    'ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id',
    'ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id',
    'reject-reason resource-id encryption-status',
  ]
    .join(' ')
    .split(' '),
)

/** Parquet and some exporters write underscores. */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

export function isAwsFieldName(name: string): boolean {
  return KNOWN.has(plainName(name))
}

/** True if these tokens are a header line: no data row is made of known names. */
export function isAwsHeader(tokens: readonly string[]): boolean {
  let known = 0
  for (const token of tokens) if (isAwsFieldName(token)) known++
  return known >= 3 && known * 2 > tokens.length
}

/** Without these there is no flow: who, with whom, how and when. */
const NEEDED = ['srcport', 'dstport', 'protocol'] as const

/** The plan of a header line, or in words why no flow can be read by it. */
export function planAws(names: readonly string[]): AwsPlan | string {
  const plain = names.map(plainName)
  // Not filled key by key: V8 would make it a hash table, and it is asked a dozen times a line.
  const ready = Object.fromEntries([
    ['count', names.length],
    ...AWS_READ.map((field) => [field, plain.indexOf(field)]),
  ]) as AwsPlan
  const missing: string[] = NEEDED.filter((field) => ready[field] < 0)
  const addressed =
    (ready.srcaddr >= 0 && ready.dstaddr >= 0) ||
    (ready['pkt-srcaddr'] >= 0 && ready['pkt-dstaddr'] >= 0)
  if (!addressed) missing.unshift('srcaddr and dstaddr')
  if (ready.start < 0) missing.push('start')
  return missing.length === 0 ? ready : `the log format lacks ${missing.join(', ')}`
}

const PLAN_V2 = planAws(V2_DEFAULT.split(' ')) as AwsPlan
const PLAN_TRANSIT_GATEWAY = planAws(TRANSIT_GATEWAY_DEFAULT.split(' ')) as AwsPlan

const UNSET_OR_ADDRESS = /^(?:-|[0-9a-fA-F.:]+)$/
const UNSET_OR_COUNT = /^(?:-|\d+)$/

/**
 * The plan of a line in a default format, told by its shape. Undefined for any other: an order that nobody named is
 * never guessed.
 */
export function planOfDefault(tokens: readonly string[]): AwsPlan | undefined {
  const first = tokens[0] ?? ''
  if (!/^\d{1,2}$/.test(first)) return undefined
  if (tokens[1] === 'TransitGateway') return PLAN_TRANSIT_GATEWAY
  const fits = (from: number, to: number, pattern: RegExp): boolean =>
    tokens.slice(from, to).every((token) => pattern.test(token))
  const v2 =
    tokens.length === PLAN_V2.count &&
    first === '2' &&
    fits(3, 5, UNSET_OR_ADDRESS) &&
    fits(5, 10, UNSET_OR_COUNT) &&
    fits(10, 12, /^\d+$/) &&
    fits(12, 13, /^(?:-|ACCEPT|REJECT)$/) &&
    fits(13, 14, /^(?:OK|NODATA|SKIPDATA)$/)
  return v2 ? PLAN_V2 : undefined
}

/** True if the line looks like a flow log row of whatever order: two addresses, and words that only AWS writes. */
export function looksLikeAwsRow(tokens: readonly string[]): boolean {
  const addresses = tokens.filter((token) =>
    /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*::?[0-9a-fA-F:]+)$/.test(token),
  )
  const words = tokens.filter((token) =>
    /^(?:ACCEPT|REJECT|OK|NODATA|SKIPDATA|eni-[0-9a-z]+)$/.test(token),
  )
  return tokens.length >= 4 && addresses.length >= 2 && words.length >= 1
}
