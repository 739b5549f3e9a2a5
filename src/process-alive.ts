// Whether a process that a file names still lives.

/** True of another user's process, too. Its number may have gone to another program meanwhile. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
