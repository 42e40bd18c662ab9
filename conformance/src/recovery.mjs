// Random recovery trees.

import { Extensions } from '@0xsequence/wallet-primitives'
import { Bytes } from 'ox'

import { makeCase } from './compare.mjs'

const { Recovery } = Extensions

export function recoveryCases(random, count) {
  const cases = []
  for (let index = 0; index < count; ++index) {
    const leaves = random.list(random.between(1, 12), () => ({
      type: 'leaf',
      signer: random.address(),
      requiredDeltaTime: random.integer(24),
      minTimestamp: random.integer(64),
    }))
    // A signer may have several leaves.
    if (random.chance(3)) leaves.push({ ...random.pick(leaves), minTimestamp: random.integer(64) })
    const tree = Recovery.fromRecoveryLeaves(leaves)
    const texts = leaves.map(
      ({ signer, requiredDeltaTime, minTimestamp }) => `signer:${signer}:${requiredDeltaTime}:${minTimestamp}`,
    )
    const params = { leaves: random.chance(2) ? texts : texts.join(' ') }
    const signer = random.chance(8) ? random.address() : random.pick(leaves).signer
    const trimmed = Bytes.toHex(Recovery.encodeTopology(Recovery.trimTopology(tree, signer)))
    const encoded = Bytes.toHex(Recovery.encodeTopology(tree))
    const hashEncoded = (bytes) => Recovery.hashConfiguration(Recovery.decodeTopology(Bytes.fromHex(bytes)))
    cases.push(
      makeCase('recovery_hashFromLeaves', params, () => Recovery.hashConfiguration(tree)),
      makeCase('recovery_encode', params, () => encoded),
      makeCase('recovery_trim', { ...params, signer }, () => trimmed),
      makeCase('recovery_hashEncoded', { encoded }, () => hashEncoded(encoded)),
      makeCase('recovery_hashEncoded', { encoded: trimmed }, () => hashEncoded(trimmed)),
    )
    const cut = encoded.slice(0, 2 + 2 * random.below(encoded.length / 2 - 1))
    cases.push(makeCase('recovery_hashEncoded', { encoded: cut }, () => hashEncoded(cut)))
  }
  return cases
}
