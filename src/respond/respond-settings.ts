// Settings of what follows a finding: where alerts are kept, whom they are sent to.

import { z } from 'zod'
import type { Network } from '../address.ts'
import { hiddenText, type RevocationPart } from './revoke-settings.ts'
import type { SecretSource } from './secret.ts'

/** Kinds of alerts are words such as out_of_scope; a webhook may want some of them only. */
const WORD = /^[a-z][a-z0-9_]{0,63}$/
/** Names of webhooks stand in ids, metrics and the names of variables. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/
export const WEBHOOKS_MAX = 32
const SCORE = 'a score from 0 to 100'
const SECONDS = 'seconds from 0 to 3600'
const RATE = 'messages a second, from 0.1 to 1000'

/** A webhook as it stands in a settings file. */
export const WEBHOOK = z.strictObject({
  name: z.string().regex(NAME, 'a name of up to 32 lower-case letters, digits and dashes'),
  url: hiddenText(2048, 'a URL such as https://host/path'),
  /** Holds the secret, or two of them while one takes the place of the other. */
  secret_file: z.string().min(1).max(4096).optional(),
  kinds: z
    .array(z.string().regex(WORD, 'a kind of alert, such as out_of_scope or unregistered'))
    .min(1)
    .max(64)
    .optional(),
  min_score: z.int(SCORE).min(0, SCORE).max(100, SCORE).optional(),
  group_seconds: z.number(SECONDS).min(0, SECONDS).max(3600, SECONDS).optional(),
  max_per_second: z.number(RATE).min(0.1, RATE).max(1000, RATE).optional(),
})
export const WEBHOOKS = z.array(WEBHOOK).max(WEBHOOKS_MAX)
export type WebhookPart = z.infer<typeof WEBHOOK>

/** The part `respond` of the settings. Secrets are still where they are. */
export interface RespondPart {
  webhooks: readonly WebhookPart[]
  /** Networks in which targets may be, beside the public internet. */
  allowTargets: readonly Network[]
  revocation: RevocationPart
  /** Where the secret of a webhook, and of an endpoint that revokes, is; and where that is said. */
  secrets: {
    webhooks: ReadonlyMap<string, PlacedSecret>
    revocations: ReadonlyMap<string, PlacedSecret>
  }
}

export interface PlacedSecret {
  source: SecretSource
  /** `bailiwick.yaml:7:20`, or the name of a variable. */
  place: string
}

/** A webhook, ready to be used. */
export interface WebhookSettings {
  name: string
  url: string
  /** One, or two during a rotation, the new one first. A function, so that nothing that prints settings prints it. */
  secrets: () => readonly string[]
  /** Only these; all of them where undefined. */
  kinds?: readonly string[]
  minScore: number
  /** Alerts wait so long for others to go with them; 0: each goes at once, and only a storm is grouped. */
  groupSeconds: number
  /** Messages that may go in a second; alerts that come faster are grouped. */
  perSecond?: number
}

export interface RespondSettings {
  /** Where alerts and what is to be sent are kept. One process has it. */
  directory: string
  webhooks: readonly WebhookSettings[]
  /** Networks in which targets may be, beside the public internet. */
  allowTargets: readonly Network[]
}

/** The variable of the environment that holds the secret of a webhook. */
export function secretVariable(name: string): string {
  return `BAILIWICK_WEBHOOK_SECRET_${name.toUpperCase().replaceAll('-', '_')}`
}
