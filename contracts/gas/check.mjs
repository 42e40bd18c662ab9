// Measures what transactions cost and compares with gas/snapshot.json.
//
//   node gas/check.mjs           compare: more gas than committed, or than the goal, fails
//   node gas/check.mjs --write   write what was measured
//
// Each call of test/Gas.t.sol and test/extensions/SessionGas.t.sol is a transaction of its own (`forge test --isolate`): the numbers are those of
// receipts, and those of anvil.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { forge } from '../tools/forge.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const committed = join(root, 'gas', 'snapshot.json')

/** What the reference's contracts take for the same calls, in the same encodings, and what we allow ours. */
const THEIRS = {
  '1-of-1 erc20 transfer': [66_844, 60_000],
  '1-of-1 erc20 transfer, compact': [66_844, 60_000],
  '1-of-1 erc20 transfer, one pending update': [76_422, 68_779],
  '1-of-1 erc20 transfer, stage 2': [68_719, 61_847],
  '1-of-1 first erc20 transfer, to a new holder': [120_932, 108_838],
  '1-of-1 native transfer': [60_583, 54_524],
  '1-of-1 two erc20 transfers, one to a new holder': [97_430, 88_500],
  '3-of-5 erc20 transfer': [80_105, 72_000],
  'deploy wallet': [83_458, 83_458],
  'deploy wallet and first erc20 transfer, to a new holder': [179_754, 161_700],
  'update of the configuration, first': [79_195, 75_500],
}

/** What a call by a session may take above the same call by the owner of the same wallet. */
const OWNER = 'erc20 transfer by the owner of a wallet with sessions'
const ABOVE_OWNER = {
  'erc20 transfer by a session without rules': 15_000,
  'erc20 transfer by a session of one rule': 15_000,
  'erc20 transfer by a session of two rules': 15_000,
}

function measure() {
  mkdirSync(join(root, 'node_modules', '.cache'), { recursive: true })
  const folder = mkdtempSync(join(root, 'node_modules', '.cache', 'gas-'))
  try {
    const { status, stdout } = spawnSync(forge(), ['test', '--isolate', '--match-contract', 'GasTest$'], {
      cwd: root,
      env: { ...process.env, FOUNDRY_SNAPSHOTS: relative(root, folder) },
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stdout)
    const files = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
    const found = Object.assign({}, ...files)
    return Object.fromEntries(Object.entries(found).map(([name, gas]) => [name, Number(gas)]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const write = process.argv[2] === '--write'
const before = existsSync(committed) ? JSON.parse(readFileSync(committed, 'utf8')) : {}
const now = measure()
const wrong = []
for (const [name, gas] of Object.entries(now)) {
  const [theirs, limit] = THEIRS[name] ?? []
  const ratio = theirs ? `${(gas / theirs).toFixed(3)} of ${theirs}` : ''
  const above = name in ABOVE_OWNER ? gas - now[OWNER] : undefined
  const beside = above === undefined ? ratio : `${above} above the owner's`
  console.log(`${String(gas).padStart(7)}  ${name.padEnd(58)} ${beside}`)
  if (above > ABOVE_OWNER[name]) wrong.push(`${name}: ${above} above the owner's, limit ${ABOVE_OWNER[name]}`)
  if (limit && gas > limit) wrong.push(`${name}: ${gas}, goal ${limit}`)
  if (!write && gas > (before[name] ?? -1)) wrong.push(`${name}: ${gas}, committed ${before[name] ?? 'nothing'}`)
}
for (const name of Object.keys(ABOVE_OWNER)) {
  if (!(name in now) || !(OWNER in now)) wrong.push(`${name}: not compared with the owner's`)
}
for (const name of Object.keys(before)) {
  if (!write && !(name in now)) wrong.push(`${name}: not measured any more`)
}
if (write) writeFileSync(committed, JSON.stringify(now, null, 2) + '\n')
if (wrong.length > 0) {
  console.error('Gas rose. If that is meant, run `node gas/check.mjs --write`, look at the change, and commit it.')
  for (const line of wrong) console.error(`  ${line}`)
  process.exit(1)
}
