// Tries whether an interface can be captured on, by capturing.

import { BACKENDS, type Backend, LiveCapture, LiveError, type LiveSettings } from './live.ts'

export interface Probe {
  backend: Backend
  /** How it captured, for people; '' if it cannot. */
  detail: string
  /** Why it cannot. */
  error?: LiveError
  /** It cannot now, but it would be waited for. */
  waits?: string
}

/** Captures on an interface for a moment with each backend that the settings allow, in their order. */
export async function probeBackends(settings: LiveSettings, name: string): Promise<Probe[]> {
  const backends = settings.backend === 'auto' ? BACKENDS : [settings.backend]
  return await Promise.all(backends.map((backend) => probe(settings, name, backend)))
}

async function probe(settings: LiveSettings, name: string, backend: Backend): Promise<Probe> {
  const { write: _, ...wish } = settings
  const live = LiveCapture.start({ ...wish, interfaces: [name], backend }, () => {})
  const found: Probe = { backend, detail: '' }
  try {
    for await (const event of live.events()) {
      if (event.type !== 'state') continue
      if (event.state === 'capturing') found.detail = event.detail
      else if (event.state === 'lost') found.waits = event.detail
      else continue
      void live.stop()
    }
  } catch (error) {
    if (!(error instanceof LiveError)) throw error
    found.error = error
  }
  return found
}
