// Random session trees, changes to them, and session signatures.

import { Attestation, GenericTree, SessionConfig, SessionSignature } from '@0xsequence/wallet-primitives'
import { Bytes } from 'ox'

import { asJson, makeCase } from './compare.mjs'

function rule(random) {
  return {
    cumulative: random.chance(2),
    operation: random.below(4),
    value: random.bytes(32),
    offset: random.integer(256),
    mask: random.bytes(32),
  }
}

export function randomSession(random) {
  return {
    signer: random.address(),
    chainId: Number(random.integer(53)),
    valueLimit: random.integer(256),
    deadline: random.integer(64),
    permissions: random.list(random.between(0, 4), () => ({
      target: random.address(),
      rules: random.list(random.between(0, 3), () => rule(random)),
    })),
  }
}

const json = (topology) => JSON.parse(SessionConfig.sessionsTopologyToJson(topology))
const copy = (topology) => SessionConfig.sessionsTopologyFromJson(SessionConfig.sessionsTopologyToJson(topology))
const sessionJson = (session) => json(session)

const word = (number) => '0x' + number.toString(16).padStart(64, '0')
const text = ({ r, s, yParity }) => `${word(r)}:${word(s)}:${27 + yParity}`

function rsy(random) {
  return { r: BigInt(random.hash()), s: BigInt(random.hash()) >> 1n, yParity: random.below(2) }
}

function attestation(random) {
  return {
    approvedSigner: random.address(),
    identityType: random.bytes(4),
    issuerHash: random.bytes(32),
    audienceHash: random.bytes(32),
    applicationData: random.bytes(random.between(0, 40)),
    authData: {
      // Beyond ASCII the package counts wrongly; the oracle does the same.
      redirectUrl: random.pick(['', 'https://x.y', 'https://example.org/callback?a=b', 'https://bücher.example/☃/🦀']),
      issuedAt: random.integer(64),
    },
  }
}

function callSignatures(random, sessions) {
  const attestations = random.list(2, () => ({ attestation: attestation(random), identitySignature: rsy(random) }))
  return random.list(random.between(0, 5), () => {
    const sessionSignature = rsy(random)
    if (sessions.length > 0 && random.chance(2)) {
      const permissionIndex = random.below(128)
      return {
        forPackage: { permissionIndex, sessionSignature },
        forOracle: { permissionIndex: `${permissionIndex}`, sessionSignature: text(sessionSignature) },
      }
    }
    const { attestation, identitySignature } = random.pick(attestations)
    return {
      forPackage: { attestation, identitySignature, sessionSignature },
      forOracle: {
        attestation: Attestation.encodeForJson(attestation),
        identitySignature: text(identitySignature),
        sessionSignature: text(sessionSignature),
      },
    }
  })
}

export function sessionCases(random, count) {
  const cases = []
  const add = (method, params, expected) => cases.push(makeCase(method, params, expected))
  const changed = (method, params, topology, change) =>
    add(method, { ...params, sessionTopology: json(topology) }, () =>
      asJson(SessionConfig.sessionsTopologyToJson(change(copy(topology)))),
    )
  for (let index = 0; index < count; ++index) {
    const identities = random.list(random.between(1, 2), () => random.address())
    let topology = SessionConfig.emptySessionsTopology(identities)
    if (identities.length === 1) {
      add('session_empty', { identitySigner: identities[0] }, () =>
        asJson(SessionConfig.sessionsTopologyToJson(topology)),
      )
    }
    const listed = random.list(random.pick([0, 1, 2, 14, 15, 16]), () => random.address())
    for (const address of listed) topology = SessionConfig.addToImplicitBlacklist(topology, address)
    const sessions = random.list(random.between(0, 6), () => randomSession(random))
    for (const session of sessions) {
      const before = topology
      if (random.chance(3)) {
        changed('session_explicit_add', { explicitSession: sessionJson(session) }, before, (tree) =>
          SessionConfig.addExplicitSession(tree, session),
        )
      }
      topology = SessionConfig.addExplicitSession(topology, session)
    }

    const sessionTopology = json(topology)
    add('session_encodeTopology', { sessionTopology }, () =>
      Bytes.toHex(SessionConfig.encodeSessionsTopology(topology)),
    )
    add('session_imageHash', { sessionTopology }, () =>
      GenericTree.hash(SessionConfig.sessionsTopologyToConfigurationTree(topology)),
    )
    const again = random.pick([...sessions, randomSession(random)])
    changed('session_explicit_add', { explicitSession: sessionJson(again) }, topology, (tree) =>
      SessionConfig.addExplicitSession(tree, again),
    )
    changed('session_explicit_remove', { explicitSessionAddress: again.signer }, topology, (tree) =>
      SessionConfig.removeExplicitSession(tree, again.signer),
    )
    const blacklistAddress = random.pick([...listed, random.address()])
    changed('session_implicit_addBlacklistAddress', { blacklistAddress }, topology, (tree) =>
      SessionConfig.addToImplicitBlacklist(tree, blacklistAddress),
    )
    changed('session_implicit_removeBlacklistAddress', { blacklistAddress }, topology, (tree) =>
      SessionConfig.removeFromImplicitBlacklist(tree, blacklistAddress),
    )

    const calls = callSignatures(random, sessions)
    const explicitSigners = sessions.filter(() => random.chance(2)).map(({ signer }) => signer)
    const implicitSigners = random.chance(2) ? [] : [random.address()]
    const identitySigner = random.chance(3) ? undefined : random.pick(identities)
    const params = { sessionTopology, callSignatures: calls.map((one) => one.forOracle), explicitSigners }
    add('session_encodeCallSignatures', { ...params, implicitSigners, identitySigner }, () =>
      Bytes.toHex(
        SessionSignature.encodeSessionSignature(
          calls.map((one) => one.forPackage),
          topology,
          identitySigner ?? identities[0],
          explicitSigners,
          implicitSigners,
        ),
      ),
    )
  }
  return cases
}
