// The hash of tables whose keys come from outside: HalfSipHash-1-3 (32-bit SipHash, Aumasson and Bernstein) under a secret
// key, so that whoever sends the packets cannot choose keys that collide.

/** Hash of `count` words of `words` under `key` (four words, of which all are used). Any 32-bit integer. */
export function keyedHash(words: Int32Array, count: number, key: Int32Array): number {
  let v0 = key[0]!
  let v1 = key[1]!
  let v2 = 0x6c796765 ^ key[2]!
  let v3 = 0x74656462 ^ key[3]!
  // `count` message rounds, one for the length, three to finish.
  for (let i = 0; i < count + 4; i++) {
    const word = i < count ? words[i]! : i === count ? count << 24 : 0
    if (i === count + 1) v2 ^= 0xff
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  return v1 ^ v3
}
