// The pure heart: a chunk of flow records in, judgements out. Every other room either makes chunks or acts on
// what comes out of here.
//
//   chunk ─▶ one deciding record a flow ─▶ whose are its ends? ─▶ may they? ─▶ how bad? ─▶ rows
//                                          identity/              scope/      detect/
//
// What is kept between chunks (judgement-book.ts) changes no answer, and no clock is read: the same chunk and snapshot
// give the same bytes, on any thread. Flows that show the same share one Judgement, so the work per flow is two address
// lookups and a key.

import { type AddressFacts, addressWords } from './address-facts.ts'
import type { Block, Words } from './block.ts'
import { decodeChunk } from './chunk.ts'
import {
  decidedAt,
  decidingRows,
  EVIDENCE_COLUMNS,
  type EvidenceColumns,
  FlowTotals,
} from './deciding.ts'
import { registrableName } from './detect/destination.ts'
import { endpointOfName } from './detect/unregistered.ts'
import type { Handshake, NameProof, NameSource } from './flow.ts'
import {
  type Attribution,
  attributionOf,
  type Claimants,
  claimants,
  NOBODY,
  UNKNOWN,
} from './identity/attribution.ts'
import { isHostName } from './identity/domain-name.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import { type End, judgeSide, judgeUnowned, type Sighting } from './judge.ts'
import { type Bench, benchOf } from './judge-bench.ts'
import type { JudgementBook } from './judgement-book.ts'
import { decodeBlock } from './native-read.ts'
import { newBlocks, noFacts, type Outcome, OutcomeWriter, type RowFacts } from './outcome.ts'
import { portCounts } from './scope/matcher.ts'
import { type NameEvidence, NO_NAME, nameEvidence } from './scope/name-evidence.ts'
import type { Snapshot } from './snapshot.ts'

export type { Outcome } from './outcome.ts'

const TCP = 6

/**
 * Judges every flow of a chunk, each once.
 * @param chunk bytes of a ChunkWriter
 * @param ruling number of this pass of judgement: 0 at ingest
 * @throws ChunkError, BlockError when the bytes are no chunk
 */
export function analyze(chunk: Uint8Array, snapshot: Snapshot, ruling: number): Outcome {
  const native = decodeChunk(chunk).parts.get('flow_records')
  const bench = benchOf(snapshot)
  const { agents, book } = bench
  book.begin()
  if (native === undefined) return new OutcomeWriter(agents, book.words, ruling, 0).outcome(0)
  const flows = decodeBlock(native, EVIDENCE_COLUMNS, bench.takeBlock())
  const totals = new FlowTotals(flows)
  const rows = decidingRows(flows, totals)
  const blocks = bench.takeBlocks() ?? newBlocks(rows.length)
  const out = new OutcomeWriter(agents, book.words, ruling, rows.length, blocks)
  const judge = new Judge(snapshot, bench, flows, totals, out)
  for (let i = 0; i < rows.length; i++) judge.flow(rows[i]!)
  bench.keepBlock(flows)
  const outcome = out.outcome(rows.length)
  bench.keepBlocks(blocks)
  return outcome
}

/** What a name amounts to, worked out once for all flows that show it. */
interface KnownName {
  /** Of the book: stands for all that was shown of it. */
  id: number
  evidence: NameEvidence
  /** Registrable, '' if the address has to stand for the destination. */
  destination: string
  /** Of the book's words; -1: not asked for yet. */
  destinationNumber: number
  endpoint: Endpoint | undefined
}

const SIDE_NUMBERS = { none: 0, orig: 1, resp: 2 } as const
const KIND_NUMBERS = { public: 0, private: 1, metadata: 2, multicast: 3, local: 4 } as const
/** Candidates whose scopes may have expired, as bits of a word; more of them as text. */
const BITS_MAX = 30

/** Judges the flows of one block, and remembers what it has worked out. */
class Judge {
  readonly #snapshot: Snapshot
  readonly #addresses: AddressFacts
  readonly #book: JudgementBook
  readonly #flows: Block<EvidenceColumns>
  readonly #totals: FlowTotals
  readonly #out: OutcomeWriter
  /** Addresses as words. */
  readonly #origWords: Int32Array
  readonly #respWords: Int32Array
  readonly #names = new Map<string, KnownName>()
  /** Codes of the name that was looked up last, which is often the next one, too. */
  readonly #nameCodes = new Int32Array(4).fill(-1)
  #lastName: KnownName | undefined
  /** Numbers of the book, by the block's codes; -1: not asked for yet. */
  readonly #handshakes: Int32Array
  /** Who is meant, by the block's codes. */
  readonly #users: Claimants[]
  readonly #interfaces: Claimants[]
  /** Codes of words in this block, -1 if it does not have them. */
  readonly #completed: number
  readonly #sides: { readonly orig: number; readonly resp: number }
  /** Filled again for each flow, and for each row. */
  readonly #seen: Sighting
  readonly #facts: RowFacts

  constructor(
    snapshot: Snapshot,
    bench: Bench,
    flows: Block<EvidenceColumns>,
    totals: FlowTotals,
    out: OutcomeWriter,
  ) {
    const { columns: c, rows } = flows
    const { proxyUsers, interfaces } = snapshot.owners
    this.#snapshot = snapshot
    this.#addresses = bench.addresses
    this.#book = bench.book
    this.#flows = flows
    this.#totals = totals
    this.#out = out
    this.#origWords = addressWords(c.orig_h, rows)
    this.#respWords = addressWords(c.resp_h, rows)
    this.#handshakes = new Int32Array(c.handshake.values.length).fill(-1)
    this.#users = claimantsOfWords(c.proxy_user, proxyUsers)
    this.#interfaces = claimantsOfWords(c.interface_id, interfaces)
    this.#completed = c.handshake.values.indexOf('completed')
    this.#sides = {
      orig: c.interface_side.values.indexOf('orig'),
      resp: c.interface_side.values.indexOf('resp'),
    }
    this.#seen = noSighting()
    this.#facts = noFacts(addressWords(c.flow_id, rows), this.#respWords)
  }

  flow(row: number): void {
    const c = this.#flows.columns
    const seen = this.#seen
    const { orig, resp } = seen
    const known = this.#name(row)
    seen.ts = c.ts[row]!
    seen.protocol = c.ip_proto[row]!
    seen.origPort = c.orig_p[row]!
    seen.respPort = c.resp_p[row]!
    seen.directionSure = c.direction_sure[row] === 1
    seen.handshake = c.handshake.get(row) as Handshake
    seen.name = known.evidence
    // Who shows a user name to a proxy is the one who opened the flow.
    const user = this.#users[c.proxy_user.codes[row]!]!
    this.#fillEnd(orig, row, this.#addresses.find(this.#origWords, c.orig_h, row), 'orig', user)
    const slot = this.#addresses.find(this.#respWords, c.resp_h, row)
    this.#fillEnd(resp, row, slot, 'resp', NOBODY)
    seen.endpoint = known.endpoint ?? this.#addresses.endpoint(slot)
    const ofOrig = orig.owner.agents.length > 0
    const ofResp = resp.owner.agents.length > 0
    if (ofOrig) this.#side(row, known, 'orig')
    if (ofResp) this.#side(row, known, 'resp')
    if (!ofOrig && !ofResp) this.#side(row, known, 'none')
  }

  #fillEnd(end: End, row: number, slot: number, side: 'orig' | 'resp', user: Claimants): void {
    const c = this.#flows.columns
    const { owners } = this.#snapshot
    const time = decidedAt(c, row)
    const atSide = c.interface_side.codes[row] === this.#sides[side]
    const port = atSide ? this.#interfaces[c.interface_id.codes[row]!]! : NOBODY
    const address = claimants(owners, this.#addresses.ownerPrefix(slot), time)
    const handshake = c.ip_proto[row] === TCP && c.handshake.codes[row] === this.#completed
    end.owner = attributionOf(owners, user, port, address, handshake)
    end.class = this.#addresses.class(slot)
    end.kind = this.#addresses.kind(slot)
  }

  #name(row: number): KnownName {
    const c = this.#flows.columns
    const last = this.#nameCodes
    const name = c.server_name.codes[row]!
    const source = c.name_source.codes[row]!
    const proof = c.name_proof.codes[row]!
    const dns = c.dns_names.codes[row]!
    if (last[0] === name && last[1] === source && last[2] === proof && last[3] === dns)
      return this.#lastName!
    const key = `${name} ${source} ${proof} ${dns}`
    let known = this.#names.get(key)
    if (known === undefined) this.#names.set(key, (known = this.#newName(row)))
    last[0] = name
    last[1] = source
    last[2] = proof
    last[3] = dns
    this.#lastName = known
    return known
  }

  #newName(row: number): KnownName {
    const c = this.#flows.columns
    const name = c.server_name.get(row)
    const source = c.name_source.get(row) as NameSource | ''
    const proof = c.name_proof.get(row) as NameProof | ''
    const dns = c.dns_names.get(row)
    const evidence = nameEvidence(name, source, proof, dns)
    const named = evidence.kind !== 'literal' && isHostName(evidence.name)
    return {
      id: this.#book.text([name, source, proof, ...dns].join('\u001f')),
      evidence,
      destination: named ? registrableName(evidence.name) : '',
      destinationNumber: -1,
      endpoint: named ? endpointOfName(this.#snapshot.endpoints, evidence.name) : undefined,
    }
  }

  /** Judges one side (`none`: neither end is an agent's) and writes it. */
  #side(row: number, known: KnownName, side: 'orig' | 'resp' | 'none'): void {
    const c = this.#flows.columns
    const seen = this.#seen
    const ofResp = side === 'resp'
    const book = this.#book
    const number = this.#judged(row, known, side)
    const facts = this.#facts
    facts.row = row
    facts.ts = seen.ts
    facts.peers = ofResp ? this.#origWords : this.#respWords
    facts.protocol = seen.protocol
    // The name is the responder's: it says nothing of who connects to an agent.
    const named = !ofResp && !book.isTurned(number) && known.destination !== ''
    facts.peerName = named ? known.evidence.name : ''
    const peer = ofResp ? 'orig' : 'resp'
    facts.destinationNumber = named ? this.#named(known) : this.#number(row, peer)
    const { records, origBytes, respBytes } = this.#totals
    facts.records = records[row]!
    facts.bytesOut = (ofResp ? respBytes : origBytes)[row]!
    facts.bytesIn = (ofResp ? origBytes : respBytes)[row]!
    const isFinding = book.isFinding(number)
    if (isFinding) {
      facts.peerAddress = this.#text(row, peer)
      facts.destination = named ? known.destination : facts.peerAddress
      facts.subject = this.#text(row, ofResp ? 'resp' : 'orig')
      facts.handshake = seen.handshake
      facts.directionSure = seen.directionSure
      facts.decidedAt = decidedAt(c, row)
      facts.endpoint = seen.endpoint
    }
    this.#out.add(number, facts, isFinding ? book.at(number) : undefined)
  }

  /** An address in words. */
  #text(row: number, side: 'orig' | 'resp'): string {
    const c = this.#flows.columns
    return side === 'orig'
      ? this.#addresses.text(this.#origWords, c.orig_h, row)
      : this.#addresses.text(this.#respWords, c.resp_h, row)
  }

  /** The same as a destination. */
  #number(row: number, side: 'orig' | 'resp'): number {
    const c = this.#flows.columns
    const { destinations } = this.#book.words
    return side === 'orig'
      ? this.#addresses.number(this.#origWords, c.orig_h, row, destinations)
      : this.#addresses.number(this.#respWords, c.resp_h, row, destinations)
  }

  /** The destination that a name stands for. */
  #named(known: KnownName): number {
    if (known.destinationNumber < 0)
      known.destinationNumber = this.#book.words.destinations.number(known.destination)
    return known.destinationNumber
  }

  /** The number of the judgement, which is made now or was made earlier. */
  #judged(row: number, known: KnownName, side: 'orig' | 'resp' | 'none'): number {
    const book = this.#book
    const seen = this.#seen
    this.#fillKey(row, seen, known, side)
    const number = book.find()
    if (number >= 0) return number
    return book.add(side === 'none' ? judgeUnowned(seen) : judgeSide(this.#snapshot, seen, side))
  }

  /** All that a judgement depends on, in numbers: flows with one key are judged alike. */
  #fillKey(row: number, seen: Sighting, known: KnownName, side: 'orig' | 'resp' | 'none'): void {
    const { orig, resp } = seen
    const { key } = this.#book
    const owner = side === 'resp' ? resp.owner : orig.owner
    const peer = side === 'resp' ? orig : resp
    // Only where the ends may be taken the other way round does the originator's port count, and it is seldom the same.
    const unsure = !seen.directionSure && side !== 'none'
    const turns = unsure && this.#mayTurn(seen, owner, side)
    key[0] = SIDE_NUMBERS[side] | (unsure ? 4 : 0) | (turns ? 8 : 0)
    key[1] = owner.id
    key[2] = peer.owner.id
    key[3] = peer.class
    key[4] = KIND_NUMBERS[peer.kind]
    key[5] = seen.protocol
    key[6] = seen.respPort | ((turns ? seen.origPort : 0) << 16)
    key[7] = this.#handshake(row)
    key[8] = known.id
    const { endpoint } = seen
    key[9] =
      known.endpoint === undefined && endpoint !== undefined ? this.#book.text(endpoint.match) : -1
    key[10] = this.#expired(seen.ts, owner.agents)
  }

  #handshake(row: number): number {
    const code = this.#flows.columns.handshake.codes[row]!
    let number = this.#handshakes[code]!
    if (number < 0)
      number = this.#handshakes[code] = this.#book.text(this.#flows.columns.handshake.get(row))
    return number
  }

  /** Which of these agents' scopes have expired by then. */
  #expired(ts: number, agents: readonly number[]): number {
    const { scopes } = this.#snapshot.scopes
    let bits = 0
    for (let i = 0; i < agents.length && i < BITS_MAX; i++)
      if (ts >= scopes[agents[i]!]!.expires) bits |= 1 << i
    if (agents.length <= BITS_MAX) return bits
    const rest = agents.map((agent) => (ts >= scopes[agent]!.expires ? 'x' : '-')).join('')
    // Never one of the numbers above.
    return -1 - this.#book.text(rest)
  }

  /** Could a scope allow the flow with its ends the other way round? */
  #mayTurn({ protocol, origPort }: Sighting, owner: Attribution, side: 'orig' | 'resp'): boolean {
    const { scopes } = this.#snapshot.scopes
    const turned = side === 'orig' ? 'ingress' : 'egress'
    for (const agent of owner.agents)
      if (portCounts(scopes[agent]!, turned, protocol, origPort)) return true
    return false
  }
}

/** Whom each word of a column means; the empty one nobody. */
function claimantsOfWords(column: Words, meant: ReadonlyMap<string, Claimants>): Claimants[] {
  return column.values.map((word) => (word !== '' && meant.get(word)) || NOBODY)
}

/** To be filled. */
function noSighting(): Sighting {
  const end = (): End => ({ owner: UNKNOWN, class: -1, kind: 'public' })
  return {
    ts: 0,
    protocol: 0,
    origPort: 0,
    respPort: 0,
    directionSure: false,
    handshake: 'unseen',
    name: NO_NAME,
    endpoint: undefined,
    orig: end(),
    resp: end(),
  }
}
