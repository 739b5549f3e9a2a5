// AWS flow logs as CloudWatch Logs delivers them to a subscriber: JSON messages whose log events are the lines.

import type { AwsParser } from './aws.ts'
import { type ElementParser, listOf, member, textOf } from './element-decoder.ts'
import type { LogReport } from './log-report.ts'

export class CloudWatchParser implements ElementParser {
  readonly #report: LogReport
  readonly #rows: AwsParser

  constructor(report: LogReport, rows: AwsParser) {
    this.#report = report
    this.#rows = rows
  }

  element(value: unknown, bytes: Uint8Array, line: number): void {
    const events = member(value, 'logEvents')
    if (!Array.isArray(events)) {
      const detail = 'a message without logEvents'
      this.#report.reject('bad_message', detail, bytes, 0, bytes.length, line)
      return
    }
    // CONTROL_MESSAGE only tests the subscription.
    if (member(value, 'messageType') !== 'DATA_MESSAGE' || events.length === 0)
      return this.#report.skip()
    for (const event of listOf(events)) {
      const text = Buffer.from(textOf(member(event, 'message')).trim())
      if (text.length === 0) this.#report.skip()
      else this.#rows.line(text, 0, text.length, line)
    }
  }
}
