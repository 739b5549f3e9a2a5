// Numbers found by the hash of what they stand for: open addressing, linear probing, backward-shift deletion. It holds
// numbers only; whoever uses it holds the keys, compares them, and hashes them under a secret.

export class HashIndex {
  /** Pairs of hash and number + 1; 0 = empty. */
  #pairs = new Int32Array(2 << 6)
  #mask = (1 << 6) - 1
  #size = 0

  /** The first slot that may hold the number of a key with this hash; -1 if there is none. */
  first(hash: number): number {
    return this.#seek(hash, hash & this.#mask)
  }

  /** The next one, after the number at `slot` turned out to be of another key. */
  after(slot: number): number {
    return this.#seek(this.#pairs[2 * slot]!, (slot + 1) & this.#mask)
  }

  /** The number in a slot given by `first` or `after`. */
  at(slot: number): number {
    return this.#pairs[2 * slot + 1]! - 1
  }

  add(hash: number, number: number): void {
    if (++this.#size * 2 > this.#mask) this.#grow()
    this.#enter(hash, number + 1)
  }

  /** Takes out a number that was added with this hash. */
  remove(hash: number, number: number): void {
    const pairs = this.#pairs
    const mask = this.#mask
    let hole = hash & mask
    while (pairs[2 * hole + 1] !== number + 1) hole = (hole + 1) & mask
    // Close the gap: whatever was pushed past the hole moves back into it.
    for (let slot = (hole + 1) & mask; pairs[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      const home = pairs[2 * slot]! & mask
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      pairs[2 * hole] = pairs[2 * slot]!
      pairs[2 * hole + 1] = pairs[2 * slot + 1]!
      hole = slot
    }
    pairs[2 * hole + 1] = 0
    this.#size--
  }

  #seek(hash: number, from: number): number {
    const pairs = this.#pairs
    for (let slot = from; pairs[2 * slot + 1] !== 0; slot = (slot + 1) & this.#mask)
      if (pairs[2 * slot] === hash) return slot
    return -1
  }

  #enter(hash: number, held: number): void {
    const pairs = this.#pairs
    let slot = hash & this.#mask
    while (pairs[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask
    pairs[2 * slot] = hash
    pairs[2 * slot + 1] = held
  }

  #grow(): void {
    const old = this.#pairs
    this.#pairs = new Int32Array(old.length * 2)
    this.#mask = this.#mask * 2 + 1
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) this.#enter(old[i]!, old[i + 1]!)
  }
}
