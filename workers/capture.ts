// A capture process: one interface, one socket to the parent. SIGKILL is its only end, because the addon holds on.

import { Socket } from 'node:net'
import { captureProcess } from '../src/live/capture-process.ts'

captureProcess(new Socket({ fd: 3, readable: true, writable: true }), () =>
  process.kill(process.pid, 'SIGKILL'),
)
