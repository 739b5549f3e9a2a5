// Ports that a responder is likely to have: used to tell who is who when a flow is first seen in its middle.
// The idea and most of the ports are those of Zeek's `likely_server_ports`.

const TCP = [
  20, 21, 22, 23, 25, 53, 80, 81, 88, 102, 110, 135, 139, 143, 179, 389, 443, 445, 465, 502, 514,
  515, 563, 585, 587, 614, 631, 636, 873, 989, 990, 992, 993, 995, 1080, 1433, 1434, 1521, 1883,
  2049, 2379, 2811, 3128, 3268, 3269, 3306, 3389, 4222, 5060, 5061, 5222, 5223, 5269, 5432, 5671,
  5672, 5900, 5985, 5986, 6379, 6443, 6666, 6667, 6668, 6669, 8000, 8080, 8088, 8443, 8883, 8888,
  9042, 9092, 9200, 9418, 11211, 11434, 20000, 27017,
]
const UDP = [
  53, 67, 69, 88, 111, 123, 137, 138, 161, 162, 389, 443, 500, 514, 784, 1194, 1812, 1813, 2123,
  2152, 2055, 3389, 3478, 3544, 4500, 4739, 4789, 5060, 5072, 5351, 5353, 5355, 6081, 6343, 8853,
  20000, 51820,
]

const LIKELY_TCP = bitmap(TCP)
const LIKELY_UDP = bitmap(UDP)

function bitmap(ports: readonly number[]): Uint8Array {
  const map = new Uint8Array(65_536)
  for (const port of ports) map[port] = 1
  return map
}

/** @param protocol 6 or 17 */
export function isLikelyServerPort(protocol: number, port: number): boolean {
  return (protocol === 6 ? LIKELY_TCP : LIKELY_UDP)[port] === 1
}
