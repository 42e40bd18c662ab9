// `make bench-wallet`: the same work on the same inputs by the npm package and by crates/wallet, one
// after the other on this machine. Both sides' results must be equal, byte for byte. Prints a table, or
// with --json one line.
//
//   node bench/wallet.mjs RUST-PROGRAM [--json]

import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

import { Config, GenericTree, Hash, Payload, SessionConfig, Signature } from '../conformance/bench.mjs'
import { Random } from '../conformance/src/random.mjs'

/** How many times faster, at least (docs: numbers). */
const GOAL = 50

const [program, format] = process.argv.slice(2)
const random = new Random(7)
const hex = (bytes) => '0x' + Buffer.from(bytes).toString('hex')

function tree(leaves) {
  const signers = random.list(leaves, () => ({ type: 'signer', address: random.address(), weight: 1n }))
  return { threshold: 2n, checkpoint: 5n, topology: Config.flatLeavesToTopology(signers) }
}

/** Every third signer of a tree, with a signature that is in range. */
function signed(config) {
  const texts = {}
  const topology = Signature.fillLeaves(config.topology, ({ address }) => {
    if (random.below(3) > 0) return undefined
    const [r, s] = [BigInt(random.hash()) >> 1n, BigInt(random.hash()) >> 2n]
    const word = (number) => '0x' + number.toString(16).padStart(64, '0')
    texts[address] = `${word(r)}:${word(s)}:28`
    return { type: 'hash', r, s, yParity: 1 }
  })
  return { texts, raw: { noChainId: false, configuration: { ...config, topology } } }
}

function countLeaves(topology) {
  if (Array.isArray(topology)) return topology.reduce((sum, child) => sum + countLeaves(child), 0)
  return topology.type === 'nested' ? countLeaves(topology.tree) : 1
}

function sessions(permissions) {
  const session = {
    signer: random.address(),
    chainId: 1,
    valueLimit: 10n ** 18n,
    deadline: 2000000000n,
    permissions: random.list(permissions, () => ({
      target: random.address(),
      rules: random.list(2, () => ({
        cumulative: false,
        operation: 3,
        value: random.bytes(32),
        offset: 36n,
        mask: new Uint8Array(32).fill(255),
      })),
    })),
  }
  return SessionConfig.addExplicitSession(SessionConfig.emptySessionsTopology(random.address()), session)
}

function payload(count) {
  const calls = random.list(count, () => ({
    to: random.address(),
    value: 1n,
    data: random.hex(68),
    gasLimit: 0n,
    delegateCall: false,
    onlyFallback: false,
    behaviorOnError: 'revert',
  }))
  return { type: 'call', space: 0n, nonce: 7n, calls }
}

/** Each: what Rust gets as JSON, and the package's function with its result as bytes. */
function makeCases() {
  const cases = []
  const add = (name, input, run, toBytes = hex) => cases.push({ name, input, run, expected: toBytes(run()) })
  const leaf = random.bytes(69)
  // The primitive of the hashes that follow: they cannot gain more than it does.
  add('keccak256 of a leaf (primitive)', { work: 'keccak', data: hex(leaf) }, () => Hash.keccak256(leaf))
  const json = (config) => JSON.parse(Config.configToJson(config))
  for (const leaves of [2, 16, 256]) {
    const config = tree(leaves)
    add(`image hash, ${leaves} leaves`, { work: 'image_hash', config: json(config) }, () =>
      Config.hashConfiguration(config),
    )
  }
  const config = tree(16)
  const { texts, raw } = signed(config)
  const encode = () => Signature.encodeSignature(raw)
  add('encode a signature, 16 leaves', { work: 'encode_signature', config: json(config), signatures: texts }, encode)
  const signature = encode()
  add(
    'decode a signature, 16 leaves',
    { work: 'decode_signature', signature: hex(signature) },
    () => Signature.decodeSignature(signature),
    (decoded) => hex([countLeaves(decoded.configuration.topology)]),
  )
  const topology = sessions(20)
  const sessionJson = JSON.parse(SessionConfig.sessionsTopologyToJson(topology))
  add(
    'session root, 20 permissions',
    { work: 'session_root', topology: sessionJson },
    () => GenericTree.hash(SessionConfig.sessionsTopologyToConfigurationTree(topology)),
    (root) => root,
  )
  add('session bytes, 20 permissions', { work: 'encode_sessions', topology: sessionJson }, () =>
    SessionConfig.encodeSessionsTopology(topology),
  )
  const calls = payload(10)
  const callJson = JSON.parse(JSON.stringify(calls, (_, value) => (typeof value === 'bigint' ? `${value}` : value)))
  add('pack 10 calls', { work: 'pack', payload: callJson }, () => Payload.encode(calls))
  return cases
}

/** Nanoseconds: the fastest of many batches, after a warm-up: others on the machine only slow it down. */
function measure(run) {
  let sink
  const batch = (count) => {
    const began = process.hrtime.bigint()
    for (let index = 0; index < count; ++index) sink = run()
    return Number(process.hrtime.bigint() - began)
  }
  // Long enough for the just-in-time compiler.
  const warm = Date.now()
  while (Date.now() - warm < 500) batch(1)
  let count = 1
  while (batch(count) < 10e6) count *= 2
  const times = Array.from({ length: 41 }, () => batch(count) / count)
  return sink === undefined ? 0 : Math.min(...times)
}

function measureRust({ name, input, expected }) {
  const cases = JSON.stringify([{ name, expected, ...input }])
  const { status, stdout, stderr, error } = spawnSync(program, { input: cases })
  if (error) throw error
  if (status !== 0) throw new Error(`the Rust side failed:\n${stderr}`)
  return JSON.parse(stdout.toString())[name]
}

// Each right after the other, so that both meet the same machine.
const rows = makeCases().map((one) => {
  const [rust, npm] = [measureRust(one), measure(one.run)]
  return { name: one.name, npm_ns: Math.round(npm), rust_ns: Math.round(rust), ratio: npm / rust }
})
const missed = rows.filter(({ ratio }) => ratio < GOAL)

if (format === '--json') {
  console.log(JSON.stringify({ cpu: cpus()[0]?.model, node: process.version, goal: GOAL, rows }))
} else {
  const time = (ns) => (ns < 1e4 ? `${ns} ns` : `${(ns / 1e3).toFixed(1)} us`)
  console.log(`${cpus()[0]?.model}, Node ${process.version}, @0xsequence/wallet-primitives 3.0.9\n`)
  console.log(`${''.padEnd(33)}${'npm'.padStart(12)}${'Rust'.padStart(12)}${'ratio'.padStart(9)}`)
  for (const { name, npm_ns, rust_ns, ratio } of rows) {
    console.log(`${name.padEnd(33)}${time(npm_ns).padStart(12)}${time(rust_ns).padStart(12)}${`${ratio.toFixed(0)}x`.padStart(9)}`)
  }
  console.log(missed.length === 0 ? `\nEvery one at least ${GOAL}x.` : `\nBelow ${GOAL}x: ${missed.map(({ name }) => name).join('; ')}`)
}
