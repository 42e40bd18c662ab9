// Compiles the contracts and writes artifacts/ and deployments.json.
//
//   node build.mjs           compile and write
//   node build.mjs --check   compile, compare with what is committed, write nothing
//
// The compiler is the pinned npm package; the output depends on the sources and this file only.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import sha3 from 'js-sha3'
import solc from 'solc'

const root = dirname(fileURLToPath(import.meta.url))

/** What is written: the contract's name, its source, and the folder below artifacts/. */
const CONTRACTS = [
  { name: 'Factory', source: 'src/Factory.sol', folder: '' },
  { name: 'Stage1', source: 'src/Stage1.sol', folder: '' },
  { name: 'Stage2', source: 'src/Stage2.sol', folder: '' },
  { name: 'Guest', source: 'src/Guest.sol', folder: '' },
  { name: 'FactoryWrapper', source: 'src/FactoryWrapper.sol', folder: '' },
  { name: 'Estimator', source: 'src/Estimator.sol', folder: '' },
  { name: 'Simulator', source: 'src/Simulator.sol', folder: '' },
  { name: 'SignatureCheck', source: 'src/SignatureCheck.sol', folder: '' },
  { name: 'Checkpointer', source: 'src/extensions/Checkpointer.sol', folder: '' },
  { name: 'Passkeys', source: 'src/extensions/Passkeys.sol', folder: '' },
  { name: 'Recovery', source: 'src/extensions/Recovery.sol', folder: '' },
  { name: 'Sessions', source: 'src/extensions/Sessions.sol', folder: '' },
  { name: 'TestToken', source: 'test/TestToken.sol', folder: 'test' },
]

const SETTINGS = {
  optimizer: { enabled: true, runs: 1_000_000 },
  viaIR: true,
  evmVersion: 'cancun',
  // No trailer in the bytecode: the same source gives the same bytes in every folder.
  metadata: { bytecodeHash: 'none', appendCBOR: false },
}

/** 2394: transient storage may surprise within one transaction; our lock clears it before it returns. */
const ACCEPTED_WARNINGS = new Set(['2394'])

/** The deployer that exists at this address on every chain, and the salt we give it. */
const DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const SALT = '0x' + '00'.repeat(32)

/** ERC-4337 entry points, at these addresses on every chain, and what each makes accounts with: the first
 * contract that it created (`keccak256(rlp([entry point, 1]))`). */
const NONE = '0x' + '00'.repeat(20)
const ENTRY_POINT_V07 = '0x0000000071727De22E5E9d8BAf0edAc6f37da032'
const ENTRY_POINT_V08 = '0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108'
const SENDER_CREATOR_V07 = '0xEFC2c1444eBCC4Db75e7613d20C6a62fF67A167C'
const SENDER_CREATOR_V08 = '0x449ED7C3e6Fee6a97311d4b55475DF59C44AdD33'

/** In the order of deployment; arguments are addresses, or name contracts deployed before. `artifact` is
 * the contract, where it has another name than the deployment. */
const DEPLOYMENTS = [
  { name: 'Factory', arguments: [] },
  { name: 'Stage2', arguments: [NONE, NONE] },
  { name: 'Stage1', arguments: ['Factory', 'Stage2', NONE, NONE] },
  { name: 'Guest', arguments: [] },
  { name: 'Stage2Erc4337', artifact: 'Stage2', arguments: [ENTRY_POINT_V07, ENTRY_POINT_V08] },
  {
    name: 'Stage1Erc4337',
    artifact: 'Stage1',
    arguments: ['Factory', 'Stage2Erc4337', ENTRY_POINT_V07, ENTRY_POINT_V08],
  },
  { name: 'FactoryWrapperV07', artifact: 'FactoryWrapper', arguments: ['Factory', SENDER_CREATOR_V07] },
  { name: 'FactoryWrapperV08', artifact: 'FactoryWrapper', arguments: ['Factory', SENDER_CREATOR_V08] },
  { name: 'Passkeys', arguments: [] },
  { name: 'Recovery', arguments: [] },
  { name: 'Sessions', arguments: [] },
]

const keccak = (hex) => '0x' + sha3.keccak256(Buffer.from(hex.replace(/^0x/, ''), 'hex'))
const strip = (hex) => hex.replace(/^0x/, '')

function checksum(address) {
  const lower = strip(address).toLowerCase()
  const hash = sha3.keccak256(lower)
  return '0x' + [...lower].map((c, i) => (parseInt(hash[i], 16) >= 8 ? c.toUpperCase() : c)).join('')
}

function create2(initCodeHash) {
  return checksum(keccak('ff' + strip(DEPLOYER) + strip(SALT) + strip(initCodeHash)).slice(-40))
}

function compile() {
  const sources = {}
  const load = (path) => {
    if (sources[path]) return
    // What begins with @ is a package that package-lock.json pins.
    const content = readFileSync(join(root, path.startsWith('@') ? 'node_modules' : '', path), 'utf8')
    sources[path] = { content }
    for (const [, target] of content.matchAll(/^import\s[^;]*?["']([^"']+)["'];/gm)) {
      load(target.startsWith('.') ? posix.join(posix.dirname(path), target) : target)
    }
  }
  for (const { source } of CONTRACTS) load(source)

  const input = {
    language: 'Solidity',
    sources,
    settings: {
      ...SETTINGS,
      outputSelection: { '*': { '*': ['abi', 'metadata', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  const problems = (output.errors ?? []).filter(
    ({ severity, errorCode }) => severity !== 'info' && !ACCEPTED_WARNINGS.has(errorCode),
  )
  if (problems.length > 0) {
    throw new Error(problems.map((problem) => problem.formattedMessage).join('\n'))
  }
  return { output, sources }
}

/** Every file the contract was compiled from, each with its length, so that nothing can shift. */
function sourceHash(metadata, sources) {
  const hash = createHash('sha256')
  for (const path of Object.keys(JSON.parse(metadata).sources).sort()) {
    const content = Buffer.from(sources[path].content)
    hash.update(`${path}\n${content.length}\n`).update(content)
  }
  return '0x' + hash.digest('hex')
}

/** Path of each written file, to its content. */
function build() {
  const { output, sources } = compile()
  const files = new Map()
  const bytecode = {}
  for (const { name, source, folder } of CONTRACTS) {
    const contract = output.contracts[source][name]
    bytecode[name] = '0x' + contract.evm.bytecode.object
    const size = contract.evm.deployedBytecode.object.length / 2
    if (size > 24_576) throw new Error(`${name} is ${size} bytes, more than a chain accepts (24576)`)
    const artifact = {
      contractName: name,
      sourceName: source,
      sourceHash: sourceHash(contract.metadata, sources),
      compiler: { version: solc.version(), settings: SETTINGS },
      abi: contract.abi,
      bytecode: bytecode[name],
      deployedBytecode: '0x' + contract.evm.deployedBytecode.object,
    }
    files.set(posix.join('artifacts', folder, `${name}.json`), JSON.stringify(artifact, null, 2) + '\n')
  }

  const addresses = {}
  const contracts = DEPLOYMENTS.map(({ name, artifact = name, arguments: values }) => {
    const constructorArguments =
      '0x' + values.map((value) => strip(addresses[value] ?? value).toLowerCase().padStart(64, '0')).join('')
    const initCodeHash = keccak(bytecode[artifact] + strip(constructorArguments))
    addresses[name] = create2(initCodeHash)
    return { name, artifact, address: addresses[name], constructorArguments, initCodeHash }
  })
  const deployments = { deployer: DEPLOYER, salt: SALT, contracts }
  files.set('deployments.json', JSON.stringify(deployments, null, 2) + '\n')
  return files
}

function committed() {
  const found = ['deployments.json']
  if (existsSync(join(root, 'artifacts'))) {
    for (const entry of readdirSync(join(root, 'artifacts'), { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) found.push(posix.join(entry.parentPath.slice(root.length + 1), entry.name))
    }
  }
  return found
}

function check(files) {
  const wrong = []
  for (const [path, content] of files) {
    const full = join(root, path)
    if (!existsSync(full)) wrong.push(`${path} is missing`)
    else if (readFileSync(full, 'utf8') !== content) wrong.push(`${path} differs from what its sources compile to`)
  }
  for (const path of committed()) {
    if (!files.has(path)) wrong.push(`${path} belongs to no contract`)
  }
  if (wrong.length > 0) {
    console.error('The committed contract artifacts are not what the sources compile to:')
    for (const line of wrong) console.error(`  ${line}`)
    console.error('Run `node contracts/build.mjs`, look at the change, and commit it.')
    process.exit(1)
  }
  console.log(`${files.size} files compared: the committed artifacts are what the sources compile to.`)
}

function write(files) {
  for (const path of committed()) {
    if (!files.has(path)) rmSync(join(root, path), { force: true })
  }
  for (const [path, content] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  console.log(`${files.size} files written with solc ${solc.version()}.`)
}

const [flag, ...rest] = process.argv.slice(2)
if ((flag !== undefined && flag !== '--check') || rest.length > 0) {
  console.error('usage: node build.mjs [--check]')
  process.exit(2)
}
try {
  const files = build()
  flag === '--check' ? check(files) : write(files)
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
