// The internet of the live demonstration (scripts/demo/live): answers whatever it is asked, under any name.
//
//   node scripts/demo/internet.mjs ADDRESS PORT

import { createServer } from 'node:http'

const [address, port] = process.argv.slice(2)
createServer((request, response) => {
  request.resume()
  response.end(`this is ${request.headers.host}\n`)
}).listen(Number(port), address)
