// The pure heart: a chunk of flow records in, judgements out. Every other room either makes chunks or acts on
// what comes out of here.
//
//   chunk ─▶ one deciding record a flow ─▶ whose are its ends? ─▶ may they? ─▶ how bad? ─▶ rows
//                                          identity/              scope/      detect/
//
// Nothing of a chunk is kept for the next, and no clock is read: the same chunk and snapshot give the same bytes, on
// any thread. Flows that show the same share one Judgement, so the work per flow is two address lookups and a key.

import { formatAddress } from './address.ts'
import type { Block } from './block.ts'
import { decodeChunk } from './chunk.ts'
import { decidingRows, EVIDENCE_COLUMNS, type EvidenceColumns, FlowTotals } from './deciding.ts'
import { addressKind, registrableName } from './detect/destination.ts'
import { endpointOfAddress, endpointOfName } from './detect/unregistered.ts'
import type { Handshake, NameProof, NameSource } from './flow.ts'
import { type Attribution, attribute } from './identity/attribution.ts'
import { isHostName } from './identity/domain-name.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import { type End, type Judgement, judgeSide, judgeUnowned, type Sighting } from './judge.ts'
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
  id: number
  /** All that was shown of it. */
  text: string
  evidence: NameEvidence
  /** Registrable, '' if the address has to stand for the destination. */
  destination: string
  endpoint: Endpoint | undefined
}

/** Judgements made under a snapshot. They hold nothing of a chunk: agents do much the same all day. */
const madeWith = new WeakMap<Snapshot, Map<string, Judgement>>()
const MADE_MAX = 32_768

/** Judges the flows of one block, and remembers what it has worked out. */
class Judge {
  readonly #snapshot: Snapshot
  readonly #flows: Block<EvidenceColumns>
  readonly #totals: FlowTotals
  readonly #out: OutcomeWriter
  readonly #judgements = new Map<string, Interned>()
  readonly #names = new Map<string, KnownName>()
  readonly #addresses = new AddressTexts()
  /** Of all blocks. */
  readonly #made: Map<string, Judgement>

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
    let made = madeWith.get(snapshot)
    if (made === undefined) madeWith.set(snapshot, (made = new Map()))
    this.#made = made
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
    const key = `${c.server_name.codes[row]} ${c.name_source.codes[row]} ${c.name_proof.codes[row]} ${c.dns_names.codes[row]}`
    let known = this.#names.get(key)
    if (known === undefined) {
      const evidence = nameEvidence(
        c.server_name.get(row),
        c.name_source.get(row) as NameSource | '',
        c.name_proof.get(row) as NameProof | '',
        c.dns_names.get(row),
      )
      const named = evidence.kind !== 'literal' && isHostName(evidence.name)
      known = {
        id: this.#names.size,
        text: [
          c.server_name.get(row),
          c.name_source.get(row),
          c.name_proof.get(row),
          ...c.dns_names.get(row),
        ].join('\u001f'),
        evidence,
        destination: named ? registrableName(evidence.name) : '',
        endpoint: named ? endpointOfName(this.#snapshot.endpoints, evidence.name) : undefined,
      }
      this.#names.set(key, known)
    }
    return known
  }

  /** Judges one side (`none`: neither end is an agent's) and writes it. */
  #side(row: number, seen: Sighting, known: KnownName, side: 'orig' | 'resp' | 'none'): void {
    const c = this.#flows.columns
    const place = this.#judgementKey(seen, known, side)
    const key = `${place} ${c.handshake.codes[row]} ${known.id}`
    let interned = this.#judgements.get(key)
    if (interned === undefined) {
      interned = this.#out.intern(this.#judge(place, seen, known, side))
      this.#judgements.set(key, interned)
    }
    const { judgement } = interned
    const peers = side === 'resp' ? c.orig_h : c.resp_h
    const peerAddress = this.#addresses.text(peers, row * 16)
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
        ? this.#addresses.text(side === 'resp' ? c.resp_h : c.orig_h, row * 16)
        : '',
      handshake: seen.handshake,
      endpoint: seen.endpoint,
      records: this.#totals.records[row]!,
      bytesOut: (side === 'resp' ? respBytes : origBytes)[row]!,
      bytesIn: (side === 'resp' ? origBytes : respBytes)[row]!,
    })
  }

  /** The judgement, made now or for a chunk before. */
  #judge(
    place: string,
    seen: Sighting,
    known: KnownName,
    side: 'orig' | 'resp' | 'none',
  ): Judgement {
    // Codes are those of one block; between blocks the words count.
    const key = `${place} ${seen.handshake} ${known.text}`
    let judgement = this.#made.get(key)
    if (judgement === undefined) {
      judgement = side === 'none' ? judgeUnowned(seen) : judgeSide(this.#snapshot, seen, side)
      if (this.#made.size >= MADE_MAX) this.#made.clear()
      this.#made.set(key, judgement)
    }
    return judgement
  }

  /** All that a judgement depends on, but for handshake and name: flows with one key are judged alike. */
  #judgementKey(seen: Sighting, known: KnownName, side: 'orig' | 'resp' | 'none'): string {
    const { orig, resp } = seen
    const owner = side === 'resp' ? resp.owner : orig.owner
    const peer = side === 'resp' ? orig : resp
    const peerOwner = peer.owner.id
    let expired = ''
    for (const agent of owner.agents)
      expired += seen.ts >= this.#snapshot.scopes.scopes[agent]!.expires ? 'x' : '-'
    let ports = String(seen.respPort)
    // Only where the ends may be taken the other way round does the originator's port count, and it is seldom the same.
    if (!seen.directionSure && side !== 'none')
      ports += this.#mayTurn(seen, owner, side) ? `/${seen.origPort}` : '?'
    const endpoint =
      known.endpoint === undefined && seen.endpoint !== undefined ? seen.endpoint.match : ''
    return `${side} ${owner.id} ${expired} ${peerOwner} ${peer.class} ${peer.kind} ${seen.protocol} ${ports} ${endpoint}`
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

/** Texts of addresses, remembered by place: an address that comes again soon costs a comparison. */
class AddressTexts {
  static readonly slots = 4096
  readonly #bytes = new Uint8Array(AddressTexts.slots * 16)
  readonly #texts: string[] = new Array<string>(AddressTexts.slots).fill('')

  text(bytes: Uint8Array, at: number): string {
    let hash = 0
    for (let i = 0; i < 16; i++) hash = (Math.imul(hash, 31) + bytes[at + i]!) | 0
    const slot = (hash ^ (hash >>> 16)) & (AddressTexts.slots - 1)
    let same = this.#texts[slot] !== ''
    for (let i = 0; same && i < 16; i++) same = this.#bytes[slot * 16 + i] === bytes[at + i]
    if (!same) {
      this.#bytes.set(bytes.subarray(at, at + 16), slot * 16)
      this.#texts[slot] = formatAddress(bytes, at)
    }
    return this.#texts[slot]!
  }
}
