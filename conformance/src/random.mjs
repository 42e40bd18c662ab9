// A stream of random values from a seed (xoshiro128**, by Blackman and Vigna; public domain algorithm).

export class Random {
  #state

  constructor(seed) {
    // Splitmix spreads the seed over the state.
    let next = seed >>> 0
    this.#state = Array.from({ length: 4 }, () => {
      next = (next + 0x9e3779b9) >>> 0
      let word = next
      word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
      return (word ^ (word >>> 16)) >>> 0
    })
  }

  /** 32 bits. */
  word() {
    const s = this.#state
    const rotate = (value, by) => ((value << by) | (value >>> (32 - by))) >>> 0
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0
    const t = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 11)
    return result
  }

  /** 0 up to, not including, `end`. */
  below(end) {
    return this.word() % end
  }

  between(first, last) {
    return first + this.below(last - first + 1)
  }

  chance(oneIn) {
    return this.below(oneIn) === 0
  }

  pick(list) {
    return list[this.below(list.length)]
  }

  list(count, make) {
    return Array.from({ length: count }, () => make())
  }

  bytes(count) {
    return Uint8Array.from({ length: count }, () => this.word() & 0xff)
  }

  hex(count) {
    return '0x' + Buffer.from(this.bytes(count)).toString('hex')
  }

  address() {
    return this.hex(20)
  }

  hash() {
    return this.hex(32)
  }

  /** An integer of at most `bits` bits, the edges more often than by chance. */
  integer(bits) {
    const limit = 1n << BigInt(bits)
    const edge = this.below(12)
    if (edge === 0) return 0n
    if (edge === 1) return limit - 1n
    if (edge === 2) return BigInt(this.below(4)) % limit
    const size = this.between(1, bits)
    return BigInt(this.hex(Math.ceil(bits / 8))) % (1n << BigInt(size))
  }
}
