// The pure heart: a chunk of flow records in, judgements out. Every other room either makes chunks or acts on
// what comes out of here.
//
//   chunk ─▶ one deciding record a flow ─▶ whose are its ends? ─▶ may they? ─▶ how bad? ─▶ rows
//                                          identity/              scope/      detect/
//
// What is kept between chunks (judgement-book.ts) changes no answer, and no clock is read: the same chunk and snapshot give the same bytes, on
// any thread. Flows that show the same share one Judgement, so the work per flow is two address lookups and a key.

import type { Block } from './block.ts'
import { decodeChunk } from './chunk.ts'
import { decidingRows, EVIDENCE_COLUMNS, type EvidenceColumns, FlowTotals } from './deciding.ts'
import { addressKind, registrableName } from './detect/destination.ts'
import { endpointOfAddress, endpointOfName } from './detect/unregistered.ts'
import type { Handshake, NameProof, NameSource } from './flow.ts'
import { type Attribution, attribute } from './identity/attribution.ts'
import { isHostName } from './identity/domain-name.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import { type End, judgeSide, judgeUnowned, type Sighting } from './judge.ts'
import { JudgementBook } from './judgement-book.ts'
import { decodeBlock } from './native-read.ts'
import { type Interned, type Outcome, OutcomeWriter } from './outcome.ts'
import { portCounts } from './scope/matcher.ts'
import { type NameEvidence, nameEvidence } from './scope/name-evidence.ts'
import { peerClass } from './scope/policy.ts'
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
  if (native === undefined) return new OutcomeWriter(snapshot.agents, ruling, 0).outcome(0)
  const flows = decodeBlock(native, EVIDENCE_COLUMNS)
  const totals = new FlowTotals(flows)
  const rows = decidingRows(flows, totals)
  const out = new OutcomeWriter(snapshot.agents, ruling, rows.length)
  const judge = new Judge(snapshot, flows, totals, out)
  for (const row of rows) judge.flow(row)
  return out.outcome(rows.length)
}

/** What a name amounts to, worked out once for all flows that show it. */
interface KnownName {
  /** Of the book: stands for all that was shown of it. */
  id: number
  evidence: NameEvidence
  /** Registrable, '' if the address has to stand for the destination. */
  destination: string
  endpoint: Endpoint | undefined
}

const books = new WeakMap<Snapshot, JudgementBook>()

/** Nobody outside knows the agents' files, so their hash is secret enough to hash with. */
function bookOf(snapshot: Snapshot): JudgementBook {
  let book = books.get(snapshot)
  if (book === undefined) books.set(snapshot, (book = new JudgementBook(snapshot.hash)))
  book.begin()
  return book
}

const SIDE_NUMBERS = { none: 0, orig: 1, resp: 2 } as const
const KIND_NUMBERS = { public: 0, private: 1, metadata: 2, multicast: 3, local: 4 } as const
/** Candidates whose scopes may have expired, as bits of a word; more of them as text. */
const BITS_MAX = 30

/** Judges the flows of one block, and remembers what it has worked out. */
class Judge {
  readonly #snapshot: Snapshot
  readonly #flows: Block<EvidenceColumns>
  readonly #totals: FlowTotals
  readonly #out: OutcomeWriter
  readonly #interned: Interned[] = []
  readonly #names = new Map<string, KnownName>()
  /** Codes of the name that was looked up last, which is often the next one, too. */
  readonly #nameCodes = new Int32Array(4).fill(-1)
  #lastName: KnownName | undefined
  /** Numbers of the book, by the block's codes; -1: not asked for yet. */
  readonly #handshakes: Int32Array
  readonly #book: JudgementBook

  constructor(
    snapshot: Snapshot,
    flows: Block<EvidenceColumns>,
    totals: FlowTotals,
    out: OutcomeWriter,
  ) {
    this.#snapshot = snapshot
    this.#flows = flows
    this.#totals = totals
    this.#out = out
    this.#book = bookOf(snapshot)
    this.#handshakes = new Int32Array(flows.columns.handshake.values.length).fill(-1)
  }

  flow(row: number): void {
    const c = this.#flows.columns
    const orig = this.#end(row, 'orig')
    const resp = this.#end(row, 'resp')
    const known = this.#name(row)
    const seen: Sighting = {
      ts: c.ts[row]!,
      protocol: c.ip_proto[row]!,
      origPort: c.orig_p[row]!,
      respPort: c.resp_p[row]!,
      directionSure: c.direction_sure[row] === 1,
      handshake: c.handshake.get(row) as Handshake,
      name: known.evidence,
      endpoint: known.endpoint ?? endpointOfAddress(this.#snapshot.endpoints, c.resp_h, row * 16),
      orig,
      resp,
    }
    const owned = orig.owner.agents.length > 0 || resp.owner.agents.length > 0
    if (orig.owner.agents.length > 0) this.#side(row, seen, known, 'orig')
    if (resp.owner.agents.length > 0) this.#side(row, seen, known, 'resp')
    if (!owned) this.#side(row, seen, known, 'none')
  }

  #end(row: number, side: 'orig' | 'resp'): End {
    const c = this.#flows.columns
    const address = side === 'orig' ? c.orig_h : c.resp_h
    const at = row * 16
    const decided = c.decided_at[row]!
    const owner: Attribution = attribute(this.#snapshot.owners, {
      // Who shows a user name to a proxy is the one who opened the flow.
      proxyUser: side === 'orig' ? c.proxy_user.get(row) : '',
      interfaceId: c.interface_side.get(row) === side ? c.interface_id.get(row) : '',
      address,
      at,
      time: decided === 0 ? c.ts[row]! : decided,
      handshake: c.ip_proto[row] === TCP && c.handshake.get(row) === 'completed',
    })
    return {
      owner,
      class: peerClass(this.#snapshot.scopes, address, at),
      kind: addressKind(address, at),
    }
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
      endpoint: named ? endpointOfName(this.#snapshot.endpoints, evidence.name) : undefined,
    }
  }

  /** Judges one side (`none`: neither end is an agent's) and writes it. */
  #side(row: number, seen: Sighting, known: KnownName, side: 'orig' | 'resp' | 'none'): void {
    const c = this.#flows.columns
    const interned = this.#judged(row, seen, known, side)
    const { judgement } = interned
    const peers = side === 'resp' ? c.orig_h : c.resp_h
    const peerAddress = this.#book.addresses.text(peers, row * 16)
    // The name is the responder's: it says nothing of who connects to an agent.
    const { origBytes, respBytes } = this.#totals
    const named = side !== 'resp' && !judgement.turned && known.destination !== ''
    this.#out.add(interned, {
      flowIds: c.flow_id,
      row,
      ts: seen.ts,
      peers,
      protocol: seen.protocol,
      destination: named ? known.destination : peerAddress,
      peerName: named ? known.evidence.name : '',
      peerAddress,
      subject: judgement.finding
        ? this.#book.addresses.text(side === 'resp' ? c.resp_h : c.orig_h, row * 16)
        : '',
      handshake: seen.handshake,
      endpoint: seen.endpoint,
      records: this.#totals.records[row]!,
      bytesOut: (side === 'resp' ? respBytes : origBytes)[row]!,
      bytesIn: (side === 'resp' ? origBytes : respBytes)[row]!,
    })
  }

  /** The judgement, made now or earlier, as this block's writer knows it. */
  #judged(row: number, seen: Sighting, known: KnownName, side: 'orig' | 'resp' | 'none'): Interned {
    const book = this.#book
    this.#fillKey(row, seen, known, side)
    let number = book.find()
    if (number < 0)
      number = book.add(
        side === 'none' ? judgeUnowned(seen) : judgeSide(this.#snapshot, seen, side),
      )
    let place = book.place(number)
    if (place < 0) {
      place = this.#interned.push(this.#out.intern(book.at(number))) - 1
      book.put(number, place)
    }
    return this.#interned[place]!
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
