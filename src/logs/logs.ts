// Text logs to flow records: the one door of this room. `sniffLog` tells the format, `logDecoder` makes its decoder;
// `zeekJoinDecoder` reads the logs that name what a connection was for.

import type { Network } from '../address.ts'
import type { ChunkWriter } from '../chunk.ts'
import type { Decoder } from '../decoder.ts'
import { AwsParser } from './aws.ts'
import { AzureParser } from './azure.ts'
import { CloudWatchParser } from './cloudwatch.ts'
import { ElementDecoder } from './element-decoder.ts'
import { GcpParser } from './gcp.ts'
import { LineDecoder } from './line-decoder.ts'
import { LogReport } from './log-report.ts'
import type { LogFormat } from './sniff.ts'
import { ZeekConn } from './zeek-conn.ts'
import type { ZeekJoins } from './zeek-joins.ts'
import { ZeekJsonParser } from './zeek-json.ts'
import { type JoinedStream, ZeekNames } from './zeek-names.ts'
import type { ZeekConsumer } from './zeek-rows.ts'
import { RunningTotals } from './zeek-running.ts'
import { ZeekTsvParser } from './zeek-tsv.ts'

export { type LogFormat, type SniffedLog, sniffLog } from './sniff.ts'
export { ZeekJoins } from './zeek-joins.ts'
export { RunningTotals } from './zeek-running.ts'
export type { ZeekStream } from './zeek-streams.ts'

export interface LogSettings {
  sensor: string
  /** Zeek: the stream as `sniffLog` told it, for rows that do not name theirs. */
  zeekPath?: string
  /** Zeek: names for connections, filled before by `zeekJoinDecoder`. */
  joins?: ZeekJoins
  /** Zeek: one for all connection logs of a directory, read in the order open_conn, conn_long, conn. */
  running?: RunningTotals
  /** Networks of our own; tell which end a cloud interface sits at. Private addresses if there are none. */
  localNets?: readonly Network[]
}

/** A decoder that writes the flow records of a log to `chunks`. */
export function logDecoder(format: LogFormat, settings: LogSettings, chunks: ChunkWriter): Decoder {
  const { sensor, localNets = [] } = settings
  switch (format) {
    case 'zeek-tsv':
    case 'zeek-json': {
      const report = new LogReport(format, 'zeek', chunks)
      const hint = settings.zeekPath ?? ''
      const escapes = format === 'zeek-tsv' ? 'hex' : 'json'
      const running = settings.running ?? new RunningTotals()
      const conn = new ZeekConn(report, sensor, escapes, hint, settings.joins, running)
      return zeekDecoder(format, report, conn, hint)
    }
    case 'aws-vpc': {
      const report = new LogReport(format, 'aws', chunks)
      return new LineDecoder(report, new AwsParser(report, sensor, localNets))
    }
    case 'aws-cloudwatch': {
      const report = new LogReport(format, 'aws', chunks)
      const rows = new AwsParser(report, sensor, localNets)
      return new ElementDecoder(report, new CloudWatchParser(report, rows))
    }
    case 'gcp-vpc': {
      const report = new LogReport(format, 'gcp', chunks)
      return new ElementDecoder(report, new GcpParser(report, sensor, localNets))
    }
    case 'azure-flow': {
      const report = new LogReport(format, 'azure', chunks)
      return new ElementDecoder(report, new AzureParser(report, sensor))
    }
  }
}

function zeekDecoder(
  format: 'zeek-tsv' | 'zeek-json',
  report: LogReport,
  consumer: ZeekConsumer,
  hint: string,
): Decoder {
  const parser =
    format === 'zeek-tsv'
      ? new ZeekTsvParser(report, consumer, hint)
      : new ZeekJsonParser(report, consumer, hint)
  return new LineDecoder(report, parser)
}

/**
 * A decoder that reads an ssl, dns, http or quic log of Zeek into `joins`. It writes no flow to `chunks`, only
 * coverage and rejects. A format that is not Zeek's is read as TSV, and every line of it rejected.
 */
export function zeekJoinDecoder(
  path: JoinedStream,
  format: LogFormat,
  joins: ZeekJoins,
  chunks: ChunkWriter,
): Decoder {
  const zeek = format === 'zeek-json' ? format : 'zeek-tsv'
  const report = new LogReport(zeek, 'zeek', chunks)
  return zeekDecoder(zeek, report, new ZeekNames(report, path, joins), path)
}
