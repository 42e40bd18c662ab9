// Random payloads and addresses.

import { Address, Context, Payload } from '@0xsequence/wallet-primitives'
import { AbiParameters, Bytes } from 'ox'

import { asJson, makeCase } from './compare.mjs'

const DECODED = AbiParameters.from([
  'struct Call { address to; uint256 value; bytes data; uint256 gasLimit; bool delegateCall; bool onlyFallback; uint256 behaviorOnError; }',
  'struct Decoded { uint8 kind; bool noChainId; Call[] calls; uint256 space; uint256 nonce; bytes message; bytes32 imageHash; bytes32 digest; address[] parentWallets; }',
  'Decoded payload',
])

/** What Solidity's `abi.encode` makes of the struct. */
export function abiEncode(payload, noChainId = false) {
  return AbiParameters.encode(DECODED, [{ ...Payload.toAbiFormat(payload), noChainId }])
}

function call(random, wallet) {
  return {
    to: random.chance(4) ? wallet : random.address(),
    value: random.integer(256),
    data: random.hex(random.pick([0, 0, 1, 4, 36, 68, 300])),
    gasLimit: random.chance(2) ? 0n : random.integer(256),
    delegateCall: random.chance(4),
    onlyFallback: random.chance(4),
    behaviorOnError: random.pick(['ignore', 'revert', 'abort']),
  }
}

export function randomPayload(random, wallet) {
  const parentWallets = random.chance(2) ? [] : random.list(random.between(1, 3), () => random.address())
  switch (random.below(6)) {
    case 0:
      return { type: 'message', message: random.hex(random.between(0, 100)), parentWallets }
    case 1:
      return { type: 'config-update', imageHash: random.hash(), parentWallets }
    case 2:
      return { type: 'digest', digest: random.hash(), parentWallets }
    default: {
      const count = random.chance(100) ? random.pick([255, 256, 300]) : random.between(0, 6)
      const calls = random.list(count, () => call(random, wallet))
      return { type: 'call', space: random.integer(160), nonce: random.integer(56), calls, parentWallets }
    }
  }
}

export function payloadCases(random, count) {
  const cases = []
  for (let index = 0; index < count; ++index) {
    const wallet = random.address()
    const payload = randomPayload(random, wallet)
    // The package does not look at it.
    const abi = abiEncode(payload, random.chance(2))
    const chainId = random.pick([0, 1, 10, 8453, Number.MAX_SAFE_INTEGER, random.word()])
    cases.push(
      makeCase('payload_hashFor', { wallet, chainId: random.chance(2) ? `${chainId}` : chainId, payload: abi }, () =>
        Bytes.toHex(Payload.hash(wallet, chainId, payload)),
      ),
    )
    const self = random.chance(2) ? wallet : undefined
    cases.push(
      makeCase('payload_toPacked', { payload: abi, wallet: self }, () => {
        if (payload.type !== 'call') throw new Error('not implemented')
        return Bytes.toHex(Payload.encode(payload, self))
      }),
    )
    // Calls have numbers, which the package cannot write as JSON.
    if (payload.type !== 'call') {
      cases.push(makeCase('payload_toJson', { payload: abi }, () => asJson(JSON.stringify(payload))))
    }
    cases.push(
      makeCase('payload_toAbi', { payload: '0x' }, () => {
        throw new Error('not implemented')
      }),
    )
  }
  return cases
}

export function addressCases(random, count) {
  const contexts = Context.KnownContexts
  return random.list(count, () => {
    const imageHash = random.hash()
    if (random.chance(2)) {
      const { factory, stage1, creationCode } = random.pick(contexts)
      const params = { imageHash, factory, module: stage1, creationCode }
      return makeCase('address_calculate', params, () =>
        Address.from(Bytes.fromHex(imageHash), { factory, stage1, creationCode }),
      )
    }
    const [factory, module] = [random.address(), random.address()]
    const creationCode = random.chance(2) ? undefined : random.hex(random.between(1, 80))
    return makeCase('address_calculate', { imageHash, factory, module, creationCode }, () =>
      Address.from(Bytes.fromHex(imageHash), {
        factory,
        stage1: module,
        creationCode: creationCode ?? Context.Rc5.creationCode,
      }),
    )
  })
}
