// Random configurations, their signatures, and what the package makes of them.

import { Config, Signature } from '@0xsequence/wallet-primitives'
import { Bytes } from 'ox'

import { asJson, makeCase } from './compare.mjs'

function leaf(random, depth) {
  const weight = random.chance(3) ? BigInt(random.between(0, 4)) : random.integer(8)
  switch (random.below(depth > 0 ? 6 : 5)) {
    case 0:
      return { type: 'sapient-signer', address: random.address(), weight, imageHash: random.hash() }
    case 1:
      return { type: 'subdigest', digest: random.hash() }
    case 2:
      return { type: 'any-address-subdigest', digest: random.hash() }
    case 3:
      return random.hash()
    case 5:
      return { type: 'nested', tree: tree(random, depth - 1), weight, threshold: random.integer(16) }
    default:
      return { type: 'signer', address: random.address(), weight }
  }
}

function tree(random, depth) {
  if (depth === 0 || random.chance(4)) return leaf(random, depth)
  return [tree(random, depth - 1), tree(random, depth - 1)]
}

export function randomConfig(random) {
  return {
    threshold: random.integer(16),
    checkpoint: random.integer(56),
    topology: tree(random, random.between(0, 5)),
    ...(random.chance(2) ? { checkpointer: random.address() } : {}),
  }
}

function signers(topology) {
  if (Array.isArray(topology)) return topology.flatMap(signers)
  if (topology.type === 'nested') return signers(topology.tree)
  return topology.address ? [topology] : []
}

/** Some signers' parts: as the oracle takes them, and as the package does. */
function parts(random, config) {
  const texts = []
  const bySigner = new Map()
  for (const { type, address } of signers(config.topology)) {
    if (random.chance(3)) continue
    const data = random.hex(random.pick([0, 1, 2, 65, 126, 127, 128, 255, 256, 300]))
    if (type === 'sapient-signer') {
      const kind = random.pick(['sapient', 'sapient_compact'])
      texts.push(`${address}:${kind}:${data}`)
      bySigner.set(address, { type: kind, address, data })
    } else if (random.chance(3)) {
      texts.push(`${address}:erc1271:${data}`)
      bySigner.set(address, { type: 'erc1271', address, data })
    } else {
      const kind = random.pick(['hash', 'eth_sign'])
      const r = random.hash()
      const s = '0x' + (BigInt(random.hash()) >> 1n).toString(16).padStart(64, '0')
      const yParity = random.below(2)
      texts.push(`${address}:${kind}:${r}:${s}:${27 + yParity}`)
      bySigner.set(address, { type: kind, r: BigInt(r), s: BigInt(s), yParity })
    }
  }
  return { text: texts.join(' '), fill: (leaf) => bySigner.get(leaf.address) }
}

export function configCases(random, count) {
  const cases = []
  for (let index = 0; index < count; ++index) {
    const config = randomConfig(random)
    const input = JSON.parse(Config.configToJson(config))
    const add = (method, params, expected) => cases.push(makeCase(method, params, expected))
    add('config_imageHash', { input }, () => Bytes.toHex(Config.hashConfiguration(config)))
    add('config_encode', { input }, () =>
      Bytes.toHex(Signature.encodeSignature({ noChainId: true, configuration: config })),
    )

    const given = parts(random, config)
    const checkpointerData = random.chance(2) ? random.hex(random.pick([0, 1, 40, 300])) : undefined
    const raw = {
      noChainId: random.chance(2),
      checkpointerData: checkpointerData && Bytes.fromHex(checkpointerData),
      configuration: { ...config, topology: Signature.fillLeaves(config.topology, given.fill) },
    }
    const signature = Bytes.toHex(Signature.encodeSignature(raw))
    const chainId = raw.noChainId ? false : random.pick([true, undefined])
    add('signature_encode', { input, signatures: given.text, chainId, checkpointerData }, () => signature)
    add('signature_decode', { signature }, () =>
      asJson(Signature.rawSignatureToJson(Signature.decodeSignature(Bytes.fromHex(signature)))),
    )
    if (index % 4 === 0) {
      const older = Bytes.toHex(Signature.encodeSignature({ noChainId: true, configuration: randomConfig(random) }))
      const signatures = [signature, older, signature].slice(0, random.between(1, 3))
      add('signature_concat', { signatures }, () => {
        const [first, ...suffix] = signatures.map((one) => Signature.decodeSignature(Bytes.fromHex(one)))
        return Bytes.toHex(Signature.encodeSignature({ ...first, suffix }))
      })
    }
  }
  return cases
}

function element(leaf) {
  if (typeof leaf === 'string') return `node:${leaf}`
  const { type, address, weight } = leaf
  switch (type) {
    case 'signer':
      return `signer:${address}:${weight}`
    case 'sapient-signer':
      return `sapient:${leaf.imageHash}:${address}:${weight}`
    case 'nested':
      return `nested:${leaf.threshold}:${weight}:(${leaf.flat.map(element).join(' ')})`
    default:
      return `${type}:${leaf.digest}`
  }
}

/** Flat lists of elements. */
export function flatCases(random, count) {
  return random.list(count, () => {
    const leaves = random.list(random.between(1, 9), () => {
      if (!random.chance(5)) return leaf(random, 0)
      const flat = random.list(random.between(1, 4), () => leaf(random, 0))
      const nested = { type: 'nested', weight: random.integer(8), threshold: random.integer(16) }
      return { ...nested, tree: Config.flatLeavesToTopology(flat), flat }
    })
    const config = {
      threshold: random.integer(16),
      checkpoint: random.integer(56),
      topology: Config.flatLeavesToTopology(leaves),
      checkpointer: random.chance(2) ? random.address() : undefined,
    }
    const { threshold, checkpoint, checkpointer } = config
    const content = leaves.map(element).join(' ')
    const params = { threshold: `${threshold}`, checkpoint: `${checkpoint}`, from: 'flat', content, checkpointer }
    return makeCase('config_new', params, () => asJson(Config.configToJson(config)))
  })
}
