// What `bailiwick doctor` looks at for live capture: it captures for a moment with everything that can be captured with.

import { interfaceNames, interfaceWords } from '../live/interfaces.ts'
import { type Probe, probeBackends } from '../live/probe.ts'
import { liveSettings } from '../serve/sensing.ts'
import type { Settings } from '../settings.ts'
import { type Check, fail, ok, warn } from './check.ts'

const ROOM_FOR_NAMES = 12

/** Each interface that is to be captured on; without one, whether this machine lets us capture at all. */
export async function checkCapture(settings: Settings): Promise<Check[]> {
  const names = interfaceNames()
  const wanted = settings.live.interfaces
  const shown = names.slice(0, ROOM_FOR_NAMES).map((name) => `${name} ${interfaceWords(name)}`)
  if (names.length > shown.length) shown.push(`${names.length - shown.length} more`)
  const checks = [ok('interfaces', shown.join(', '))]
  const live = liveSettings(settings)
  if (wanted.length === 0) {
    // Any will do: the question is whether it is allowed.
    const up = names.find((name) => interfaceWords(name) === 'up')
    if (up === undefined) return [warn('interfaces', shown.join(', '), 'switch one on to capture')]
    return [...checks, ...checkProbes('live capture', await probeBackends(live, up), warn)]
  }
  for (const name of wanted)
    checks.push(...checkProbes(`capture on ${name}`, await probeBackends(live, name), fail))
  return checks
}

/** @param bad what it is if nothing can capture: who does not capture needs none of it */
function checkProbes(name: string, probes: readonly Probe[], bad: typeof warn): Check[] {
  const used = probes.find(({ detail }) => detail !== '')
  const refused = (some: readonly Probe[]) =>
    some.flatMap(({ backend, error }) =>
      error === undefined ? [] : [`${backend}: ${error.reason}`],
    )
  if (used === undefined) {
    const waits = probes.find((one) => one.waits !== undefined)?.waits
    if (waits !== undefined) return [warn(name, waits, 'it is waited for: switch it on')]
    // The first that is more than not installed says most.
    const worst = probes.find(({ error }) => error?.kind !== 'no_backend') ?? probes[0]
    const { reason, cure } = worst!.error!
    return [bad(name, reason, cure)]
  }
  const place = probes.indexOf(used)
  const others = probes.slice(place + 1).filter(({ detail }) => detail !== '')
  const also = others.map(({ backend }) => backend).join(' and ')
  const found = `${used.detail}${also === '' ? '' : `; ${also} could too`}`
  if (place === 0) return [ok(name, found)]
  const why = probes[0]!.error!
  return [warn(name, `${found}, because ${refused(probes.slice(0, place)).join('; ')}`, why.cure)]
}
