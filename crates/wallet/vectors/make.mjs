// Asks the npm package @0xsequence/wallet-primitives 3.0.9 for what it encodes, and writes it down
// for this crate's tests. Run in a folder where the package is installed:
//   node make.mjs <folder of this file>
import { writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import * as P from '@0xsequence/wallet-primitives'
import { AbiParameters, Bytes, Hex } from 'ox'

const out = process.argv[2]
let counter = 0
const random = (bytes) => {
  let hex = ''
  while (hex.length < bytes * 2) hex += createHash('sha256').update(`keyfold ${counter++}`).digest('hex')
  return '0x' + hex.slice(0, bytes * 2)
}
const below = (n) => Number(BigInt(random(6)) % BigInt(n))
const address = () => random(20)
const list = (n, make) => Array.from({ length: n }, make)
const low = () => '0x00' + random(31).slice(2)
const rsy = () => ({ r: BigInt(low()), s: BigInt(low()), yParity: below(2) })
const rsv = (x) => `${Hex.fromNumber(x.r, { size: 32 })}:${Hex.fromNumber(x.s, { size: 32 })}:${27 + x.yParity}`
const hex = (bytes) => Hex.fromBytes(bytes)
const save = (name, value) =>
  writeFileSync(`${out}/${name}.json`, JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? v.toString() : v), 1) + '\n')

// --- sessions
const { SessionConfig: SC, SessionSignature: SS, Attestation: AT } = P
const permissions = () => ({
  signer: address(),
  chainId: below(3),
  valueLimit: BigInt(random(1 + below(10))),
  deadline: BigInt(below(2 ** 40)),
  permissions: list(1 + below(3), () => ({
    target: address(),
    rules: list(below(4), () => ({
      cumulative: below(2) === 1,
      operation: below(4),
      value: Bytes.fromHex(random(32)),
      offset: BigInt(below(200)),
      mask: Bytes.fromHex(random(32)),
    })),
  })),
})
const attestation = () => ({
  approvedSigner: address(),
  identityType: Bytes.fromHex(random(4)),
  issuerHash: Bytes.fromHex(random(32)),
  audienceHash: Bytes.fromHex(random(32)),
  applicationData: below(3) ? Bytes.fromHex(random(below(60) + 1)) : new Uint8Array(),
  authData: { redirectUrl: 'https://example.org/' + 'é'.repeat(below(5)), issuedAt: BigInt(below(2 ** 40)) },
})
const sessions = []
for (let i = 0; i < 12; i++) {
  const identity = address()
  let topology = SC.emptySessionsTopology(identity)
  const added = list(below(6), permissions)
  for (const one of added) topology = SC.addExplicitSession(topology, one)
  for (const one of list(below(4) + (i === 3 ? 20 : 0), address)) topology = SC.addToImplicitBlacklist(topology, one)
  const attestations = list(below(3), attestation)
  const calls = []
  const json = []
  for (let c = 0; c < 1 + below(4); c++) {
    const sessionSignature = rsy()
    if (attestations.length && below(2)) {
      const att = attestations[below(attestations.length)]
      const identitySignature = rsy()
      calls.push({ attestation: att, identitySignature, sessionSignature })
      json.push({ attestation: AT.encodeForJson(att), identitySignature: rsv(identitySignature), sessionSignature: rsv(sessionSignature) })
    } else {
      const permissionIndex = BigInt(below(4))
      calls.push({ permissionIndex, sessionSignature })
      json.push({ permissionIndex: permissionIndex.toString(), sessionSignature: rsv(sessionSignature) })
    }
  }
  const explicitSigners = added.filter(() => below(2)).map((s) => s.signer)
  const implicitSigners = calls.filter((c) => c.attestation).map((c) => c.attestation.approvedSigner)
  const removed = added.length ? added[below(added.length)].signer : undefined
  sessions.push({
    identity,
    topology: JSON.parse(SC.sessionsTopologyToJson(topology)),
    encoded: hex(SC.encodeSessionsTopology(topology)),
    root: P.GenericTree.hash(SC.sessionsTopologyToConfigurationTree(topology)),
    removed,
    without: removed && JSON.parse(SC.sessionsTopologyToJson(SC.removeExplicitSession(topology, removed))),
    attestations: attestations.map((a) => ({ json: AT.encodeForJson(a), packed: hex(AT.encode(a)), hash: hex(AT.hash(a)) })),
    calls: json,
    explicitSigners,
    implicit: implicitSigners.length > 0,
    signature: hex(SS.encodeSessionSignature(calls, topology, identity, explicitSigners, implicitSigners)),
  })
}
save('sessions', sessions)

// --- recovery
const R = P.Extensions.Recovery
const recovery = list(16, (_, i) => {
  const leaves = list(1 + below(7), () => ({
    type: 'leaf', signer: address(), requiredDeltaTime: BigInt(below(2 ** 24)), minTimestamp: BigInt(below(2 ** 40)),
  }))
  const tree = R.fromRecoveryLeaves(leaves)
  const signer = leaves[below(leaves.length)].signer
  return {
    leaves: leaves.map((l) => `signer:${l.signer}:${l.requiredDeltaTime}:${l.minTimestamp}`),
    root: R.hashConfiguration(tree),
    encoded: hex(R.encodeTopology(tree)),
    signer,
    trimmed: hex(R.encodeTopology(R.trimTopology(tree, signer))),
  }
})
save('recovery', recovery)

// --- passkeys
const K = P.Extensions.Passkeys
const passkeys = list(12, (_, i) => {
  const metadata = [undefined, { credentialId: 'credential ' + i }, random(32)][i % 3]
  const publicKey = { requireUserVerification: below(2) === 1, x: random(32), y: random(32), metadata }
  const clientDataJSON = JSON.stringify({
    type: 'webauthn.get', challenge: 'A'.repeat(43), origin: 'https://example.org' + '/x'.repeat(i > 6 ? 120 : 0),
    ...(i === 5 ? { other: 'née' } : {}),
  })
  const decoded = {
    publicKey, clientDataJSON, r: Bytes.fromHex(random(32)), s: Bytes.fromHex(random(32)),
    authenticatorData: Bytes.fromHex(random(37 + (i > 8 ? 300 : 0))), embedMetadata: !!metadata && below(2) === 1,
  }
  return {
    x: publicKey.x, y: publicKey.y, requireUserVerification: publicKey.requireUserVerification,
    credentialId: metadata?.credentialId, metadataHash: typeof metadata === 'string' ? metadata : undefined,
    root: K.rootFor(publicKey), r: hex(decoded.r), s: hex(decoded.s),
    authenticatorData: hex(decoded.authenticatorData), clientDataJson: clientDataJSON,
    embedMetadata: decoded.embedMetadata, encoded: hex(K.encode(decoded)),
  }
})
save('passkeys', passkeys)

// --- configurations and signatures
const { Config, Signature, Payload } = P
const leaf = (depth) => {
  switch (below(depth > 0 ? 6 : 5)) {
    case 0: case 1: return { type: 'signer', address: address(), weight: BigInt(below(256)) }
    case 2: return { type: 'sapient-signer', address: address(), weight: BigInt(below(256)), imageHash: random(32) }
    case 3: return below(2) ? { type: 'subdigest', digest: random(32) } : { type: 'any-address-subdigest', digest: random(32) }
    case 4: return random(32)
    default: return { type: 'nested', tree: topology(depth - 1), weight: BigInt(below(256)), threshold: BigInt(1 + below(65535)) }
  }
}
const topology = (depth) => (depth > 0 && below(5) ? [topology(depth - 1), topology(depth - 1)] : leaf(depth))
const sign = (tree, parts) => {
  if (Array.isArray(tree)) return tree.map((t) => sign(t, parts))
  if (tree.type === 'nested') return { ...tree, tree: sign(tree.tree, parts) }
  if (tree.type !== 'signer' && tree.type !== 'sapient-signer') return tree
  if (below(3) === 0) return tree
  if (tree.type === 'sapient-signer') {
    const type = below(2) ? 'sapient' : 'sapient_compact'
    const data = below(4) ? random(below(300) + 1) : '0x'
    parts.push(`${tree.address}:${type}:${data}`)
    return { ...tree, signature: { type, address: tree.address, data } }
  }
  if (below(3) === 0) {
    const data = below(4) ? random(below(300) + 1) : '0x'
    parts.push(`${tree.address}:erc1271:${data}`)
    return { ...tree, signature: { type: 'erc1271', address: tree.address, data } }
  }
  const type = below(2) ? 'hash' : 'eth_sign'
  const s = rsy()
  parts.push(`${tree.address}:${type}:${rsv(s)}`)
  return { ...tree, signature: { type, ...s } }
}
const raws = []
const configs = list(30, (_, i) => {
  const checkpointer = below(3) ? undefined : address()
  const config = {
    threshold: BigInt(1 + below(i % 2 ? 65535 : 200)), checkpoint: BigInt(below([1, 256, 2 ** 30, 2 ** 47][i % 4])),
    topology: topology(4), ...(checkpointer ? { checkpointer } : {}),
  }
  const parts = []
  const signed = { ...config, topology: sign(config.topology, parts) }
  const checkpointerData = checkpointer && below(2) ? random(1 + below(40)) : undefined
  const noChainId = below(2) === 1
  const raw = {
    noChainId, configuration: signed, ...(checkpointerData ? { checkpointerData: Bytes.fromHex(checkpointerData) } : {}),
  }
  raws.push(raw)
  const signature = Signature.encodeSignature(raw)
  return {
    config: JSON.parse(Config.configToJson(config)),
    imageHash: hex(Config.hashConfiguration(config)),
    noChainId, checkpointerData, parts,
    signature: hex(signature),
    decoded: JSON.parse(Signature.rawSignatureToJson(Signature.decodeSignature(signature))),
  }
})
save('configs', configs)
save('chains', list(6, (_, i) => {
  const first = below(configs.length - 3)
  const links = list(2 + (i % 2), (_, n) => first + n)
  return { links, signature: hex(Signature.encodeChainedSignature(links.map((n) => raws[n]))) }
}))

// --- payloads
const payloads = list(24, (_, i) => {
  const parentWallets = list(below(3), address)
  const call = () => ({
    to: address(), value: below(2) ? BigInt(random(8)) : 0n, data: below(3) ? random(below(100) + 1) : '0x',
    gasLimit: below(3) ? 0n : BigInt(below(1e6)), delegateCall: below(2) === 1, onlyFallback: below(2) === 1,
    behaviorOnError: ['ignore', 'revert', 'abort'][below(3)],
  })
  const payload = {
    ...[
      () => Payload.fromCall(BigInt(below(2 ** 20)), below(2) ? 0n : BigInt(random(20)), list(below(5), call)),
      () => Payload.fromMessage(random(1 + below(80))),
      () => Payload.fromConfigUpdate(random(32)),
      () => Payload.fromDigest(random(32)),
    ][[0, 0, 1, 2, 3][i % 5]](),
    parentWallets,
  }
  const wallet = address()
  const chainId = below(3)
  const solidity = Payload.encodeSapient(chainId, payload)
  const calls = payload.type === 'call'
  return {
    wallet, chainId, payload,
    abi: AbiParameters.encode(
      AbiParameters.from([
        'struct Call { address to; uint256 value; bytes data; uint256 gasLimit; bool delegateCall; bool onlyFallback; uint256 behaviorOnError; }',
        'struct Decoded { uint8 kind; bool noChainId; Call[] calls; uint256 space; uint256 nonce; bytes message; bytes32 imageHash; bytes32 digest; address[] parentWallets; }',
        'Decoded payload',
      ]),
      [solidity],
    ),
    hash: hex(Payload.hash(wallet, chainId, payload)),
    recoveryHash: hex(Payload.hash(wallet, chainId, Payload.toRecovery(payload))),
    ...(calls ? { packed: hex(Payload.encode(payload)), packedSelf: hex(Payload.encode(payload, payload.calls[0]?.to)) } : {}),
  }
})
save('payloads', payloads)
