// What a sensor counts beside flows, in words: what it saw, what it rightly left out, and what it did not see. Whoever is
// silent about loss is read as if there were none.

/** Metrics that count what was seen; everything else is something that was not, or was odd. */
export const SEEN = ['packets', 'bytes', 'lines', 'accepted', 'flows', 'records'] as const
/** The same of a live capture: that it ran, and what the kernel counted. */
const SEEN_LIVE: readonly string[] = ['capture_seconds', 'capture_received']

/** What metrics mean, by their name or the part before its first dot. Others are shown by their name alone. */
const MEANING: Readonly<Record<string, string>> = {
  nodata: 'intervals in which the cloud saw no traffic',
  skipdata: 'intervals that the cloud dropped: traffic in them was not seen',
  packets_cut: 'packets captured shorter than they were: names in them may be missing',
  packets_over_snaplen: 'packets longer than the capture said they could be',
  packets_without_time: 'packets without a time: they count for the last time known',
  kernel_drops: 'packets that the capturing host dropped: they were not seen',
  interface_drops: 'packets that the network interface dropped: they were not seen',
  capture_dropped:
    'packets that the kernel dropped because they were not taken fast enough: they were not seen',
  capture_interface_dropped: 'packets that the network interface dropped: they were not seen',
  capture_gap_seconds: 'seconds in which nothing was captured',
  capture_flows_lost: 'flows that were open when a capture broke off: their ends were not seen',
  input_truncated: 'files that became shorter while they were read',
  spool_damaged: 'places where the spool was damaged: chunks in them are lost',
  skipped: 'lines that are no flows: headers, comments, other records',
  rejected: 'lines that could not be read; their place and start are kept as rejects',
  not_ip: 'frames that carry no IP: they are no flows',
  parse_error: 'packets that could not be taken apart',
  inner_parse_error: 'tunnelled packets that could not be taken apart; the tunnel itself is a flow',
  unknown_link: 'packets of a link type that is not known: counted, not seen into',
  clock_jump: 'jumps of the clock: packets are older than those before them',
  fragments_given_up: 'fragmented packets whose pieces never all came',
  fragment_overlap: 'fragments that overlap, as nobody honest sends them',
  evicted: 'flows written early because a table was full: what came after is a flow of its own',
  counters_went_back: 'records whose counters fell: the log repeats itself or is not in order',
  zeek_separator_cut: 'separators longer than are supported',
}

/** What is left out rightly: nothing was lost. */
const HARMLESS: readonly string[] = ['nodata', 'skipped', 'not_ip']

export function isSeen(metric: string): boolean {
  return (SEEN as readonly string[]).includes(metric) || SEEN_LIVE.includes(metric)
}

export function isHarmless(metric: string): boolean {
  return HARMLESS.includes(metric)
}

/** What a metric means, for people; '' if its name is all there is. */
export function meaningOf(metric: string): string {
  return MEANING[metric] ?? MEANING[metric.split('.', 1)[0]!] ?? ''
}
