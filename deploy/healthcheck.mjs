// Asks the process of this container whether it is ready; exit code 0 if it is, 1 with the reason if not.
// BAILIWICK_LISTEN says where it listens, as for the process itself.

const listen = process.env.BAILIWICK_LISTEN ?? ''
const port = Number(listen.slice(listen.lastIndexOf(':') + 1))
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  console.error(`BAILIWICK_LISTEN ${listen}: no port to ask`)
  process.exit(1)
}
try {
  const answer = await fetch(`http://127.0.0.1:${port}/ready`, {
    signal: AbortSignal.timeout(4000),
  })
  if (!answer.ok) console.error((await answer.text()).slice(0, 500))
  process.exit(answer.ok ? 0 : 1)
} catch (error) {
  console.error(`port ${port} does not answer: ${error.message}`)
  process.exit(1)
}
