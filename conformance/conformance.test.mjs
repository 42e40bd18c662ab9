// `make conformance`: what `keyfold rpc` answers is what the npm package makes, byte for byte, over
// random inputs. Where the two differ on purpose stands in crates/wallet/src/quirks.rs and nowhere else.
//
//   KEYFOLD           the program (default: the debug build)
//   CONFORMANCE_SEED  another seed than the one of every day
//   CONFORMANCE_SIZE  random configurations (default 4000); of what takes longer there are fewer

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Config, GenericTree, SessionConfig } from '@0xsequence/wallet-primitives'
import { Bytes } from 'ox'

import { compare, makeCase } from './src/compare.mjs'
import { configCases, flatCases } from './src/config.mjs'
import { passkeyCases, validatedCases } from './src/passkey.mjs'
import { addressCases, payloadCases } from './src/payload.mjs'
import { Random } from './src/random.mjs'
import { recoveryCases } from './src/recovery.mjs'
import { askAll, startOracle } from './src/rpc.mjs'
import { sessionCases } from './src/session.mjs'

const seed = Number(process.env.CONFORMANCE_SEED ?? 20240229)
const size = Number(process.env.CONFORMANCE_SIZE ?? 4000)
/** Slices, so that neither side holds everything at once. */
const SLICE = 250

let oracle
let compared = 0

before(async () => {
  oracle = await startOracle()
})

after(async () => {
  await oracle?.end()
  console.log(`${compared} answers compared, seed ${seed}`)
})

/** Compares the cases of `count` random inputs. */
async function all(name, cases, count = size) {
  const random = new Random(seed ^ [...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7))
  const totals = {}
  for (let done = 0; done < count; done += SLICE) {
    const counts = await compare(oracle.url, cases(random, Math.min(SLICE, count - done)))
    for (const [method, number] of Object.entries(counts)) {
      totals[method] = (totals[method] ?? 0) + number
      compared += number
    }
  }
  console.log(`${name}: ${count} random inputs`)
  for (const [method, number] of Object.entries(totals)) console.log(`  ${String(number).padStart(6)} ${method}`)
  return totals
}

test('configurations and signatures', () => all('configurations', configCases))
test('lists of elements', () => all('lists', flatCases, size / 4))
test('payloads', () => all('payloads', payloadCases))
test('addresses', () => all('addresses', addressCases, size / 4))
test('session trees and signatures', () => all('sessions', sessionCases, (size * 3) / 8))
test('recovery trees', () => all('recovery trees', recoveryCases, size / 2))
test('passkey signatures', () => all('passkeys', passkeyCases, size / 4))

test('whether a passkey signed', async () => {
  const totals = await all('signed by passkeys', validatedCases, size / 10)
  assert.equal(totals.passkeys_validateSignature, Math.ceil(size / 10))
})

test('what the oracle makes at random, the package reads', async () => {
  const wanted = Array.from({ length: Math.ceil(size / 10) }, (_, index) => [
    {
      method: 'devTools_randomConfig',
      params: {
        maxDepth: `${index % 7}`,
        seed: `${seed}-${index}`,
        checkpointer: ['no', 'random', 'yes'][index % 3],
        skewed: ['left', 'right', 'none'][(index >> 2) % 3],
      },
    },
    {
      method: 'devTools_randomSessionTopology',
      params: { maxDepth: index % 4, maxPermissions: 3, maxRules: 2, seed: `${seed}-${index}` },
    },
  ]).flat()
  const replies = await askAll(oracle.url, wanted)
  const cases = replies.map(({ result }, index) => {
    const json = Buffer.from(result.slice(2), 'hex').toString('utf8')
    if (wanted[index].method === 'devTools_randomConfig') {
      const hash = () => Bytes.toHex(Config.hashConfiguration(Config.configFromJson(json)))
      return makeCase('config_imageHash', { input: JSON.parse(json) }, hash)
    }
    const topology = SessionConfig.sessionsTopologyFromJson(json)
    const hash = () => GenericTree.hash(SessionConfig.sessionsTopologyToConfigurationTree(topology))
    return makeCase('session_imageHash', { sessionTopology: JSON.parse(json) }, hash)
  })
  await compare(oracle.url, cases)
  compared += cases.length
})

test('transport', async () => {
  const status = async (path, init) => (await fetch(new URL(path, oracle.url), init)).status
  assert.equal(await status('/rpc', { method: 'GET' }), 404)
  assert.equal(await status('/', { method: 'POST', body: '{}' }), 404)
  assert.equal(await status('/rpc', { method: 'POST', body: '{' }), 400)
  const [unknown] = await askAll(oracle.url, [{ method: 'nothing', params: {} }])
  assert.equal(unknown.error.code, -32601)
})
