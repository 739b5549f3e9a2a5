// Dead messages of an outbox that no process has open: listed, and set to be sent again by the next one.

import type { Log } from '../telemetry.ts'
import { type DeadDelivery, deadView } from './alert-view.ts'
import { revive } from './mail.ts'
import { Outbox } from './outbox.ts'

/** Newest first. @throws BusError `in_use` if a process has it · BusFault */
export async function deadMails(directory: string, log: Log): Promise<DeadDelivery[]> {
  return await withOutbox(directory, log, (outbox) =>
    Promise.resolve(
      deadOf(outbox)
        .sort((a, b) => (b.diedAt ?? 0) - (a.diedAt ?? 0))
        .map(deadView),
    ),
  )
}

/**
 * The next process that has the outbox sends it again, under its id.
 * @returns the webhook it goes to; undefined if there is no dead message of this id
 * @throws BusError `in_use` if a process has it · BusFault
 */
export async function reviveMail(
  directory: string,
  id: string,
  log: Log,
  now: number,
): Promise<string | undefined> {
  return await withOutbox(directory, log, async (outbox) => {
    const mail = deadOf(outbox).find((one) => one.id === id)
    if (mail === undefined) return undefined
    // As `Endpoint.redrive` does: what was disabled is tried again, too.
    if (outbox.disabled.has(mail.endpoint)) await outbox.disable(mail.endpoint, undefined)
    revive(mail, now)
    await outbox.progress(mail)
    return mail.endpoint
  })
}

const deadOf = (outbox: Outbox) =>
  [...outbox.mails.values()].filter(({ state }) => state === 'dead')

async function withOutbox<T>(
  directory: string,
  log: Log,
  work: (outbox: Outbox) => Promise<T>,
): Promise<T> {
  const outbox = await Outbox.open({ directory }, log)
  try {
    return await work(outbox)
  } finally {
    await outbox.close()
  }
}
