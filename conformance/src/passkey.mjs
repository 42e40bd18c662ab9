// Random passkey signatures, and real ones.

import { createHash } from 'node:crypto'

import { Extensions } from '@0xsequence/wallet-primitives'
import { Bytes, Hex, P256 } from 'ox'

import { makeCase } from './compare.mjs'

const { Passkeys } = Extensions

const base64url = (hex) => Buffer.from(hex.slice(2), 'hex').toString('base64url')
const word = (number) => Hex.fromNumber(number, { size: 32 })

function metadata(random) {
  switch (random.below(3)) {
    case 0:
      return {}
    case 1:
      return { metadataHash: random.hash() }
    default:
      return { credentialId: random.pick(['', 'cred', 'Zm9v', 'ünïcode-☃']) || 'x' }
  }
}

/** As the oracle takes it, and as the package does. */
function key(random, x, y) {
  const given = { x, y, requireUserVerification: random.chance(2), ...metadata(random) }
  const { requireUserVerification, metadataHash, credentialId } = given
  return { given, publicKey: { x, y, requireUserVerification, metadata: metadataHash ?? (credentialId && { credentialId }) } }
}

function clientData(random, challenge) {
  // The package finds the type at the second place only; the contract and the oracle find it anywhere.
  const fields = { type: random.chance(8) ? 'webauthn.create' : 'webauthn.get', challenge: base64url(challenge) }
  if (random.chance(2)) fields.origin = 'https://example.org'
  if (random.chance(4)) fields.padding = 'p'.repeat(random.pick([10, 200, 400]))
  return fields
}

/** Signatures that nobody checks. */
export function passkeyCases(random, count) {
  const cases = []
  for (let index = 0; index < count; ++index) {
    const { given, publicKey } = key(random, random.hash(), random.hash())
    cases.push(makeCase('passkeys_computeRoot', given, () => Passkeys.rootFor(publicKey)))
    const fields = clientData(random, random.hash())
    // Order and place of the fields are the caller's.
    const shuffled = random.chance(3) ? { padding: 'q'.repeat(random.pick([1, 300])), ...fields } : fields
    const asText = JSON.stringify(random.chance(20) ? { other: 'é☃' , ...shuffled } : shuffled)
    const authenticatorData = random.hex(random.pick([37, 37, 100, 255, 256, 300]))
    const [r, s] = [random.hash(), random.hash()]
    const embedMetadata = random.chance(2)
    const params = { ...given, r, s, authenticatorData, embedMetadata }
    const asObject = random.chance(2)
    const decoded = {
      publicKey,
      r: Bytes.fromHex(r),
      s: Bytes.fromHex(s),
      authenticatorData: Bytes.fromHex(authenticatorData),
      clientDataJSON: asText,
      embedMetadata,
    }
    const encode = () => Bytes.toHex(Passkeys.encode(decoded))
    const clientDataJson = asObject ? JSON.parse(asText) : asText
    cases.push(makeCase('passkeys_encodeSignature', { ...params, clientDataJson }, encode))
    // Beyond ASCII the package's lengths are wrong, and what it writes cannot be read.
    if ((embedMetadata && !publicKey.metadata) || asText !== asText.replace(/[^\x00-\x7f]/g, '')) continue
    const encodedSignature = encode()
    cases.push(
      makeCase('passkeys_decodeSignature', { encodedSignature }, () => {
        const { publicKey, r, s, authenticatorData, ...rest } = Passkeys.decode(Bytes.fromHex(encodedSignature))
        return JSON.parse(
          JSON.stringify({
            ...rest,
            publicKey,
            r: Bytes.toHex(r),
            s: Bytes.toHex(s),
            authenticatorData: Bytes.toHex(authenticatorData),
          }),
        )
      }),
    )
  }
  return cases
}

/** Signatures by a real key, some of them spoilt. */
export function validatedCases(random, count) {
  const cases = []
  for (let index = 0; index < count; ++index) {
    const privateKey = random.hash()
    const point = P256.getPublicKey({ privateKey })
    const { given, publicKey } = key(random, word(point.x), word(point.y))
    const challenge = random.hash()
    const clientDataJSON = JSON.stringify(clientData(random, random.chance(8) ? random.hash() : challenge))
    const bytes = random.bytes(37)
    // User present, user verified, or not; the rest is nobody's business on chain.
    bytes[32] = random.pick([0x05, 0x05, 0x05, 0x01, 0x04, 0x00])
    const clientHash = createHash('sha256').update(clientDataJSON).digest()
    const message = createHash('sha256').update(bytes).update(clientHash).digest()
    const signature = P256.sign({ payload: Hex.fromBytes(message), privateKey })
    const s = random.chance(8) ? signature.s ^ 1n : signature.s
    const authenticatorData = Hex.fromBytes(bytes)
    const params = { ...given, challenge, r: word(signature.r), s: word(s), authenticatorData }
    cases.push(
      makeCase('passkeys_validateSignature', { ...params, clientDataJson: clientDataJSON }, () =>
        Passkeys.isValidSignature(challenge, {
          publicKey,
          r: Bytes.fromHex(word(signature.r)),
          s: Bytes.fromHex(word(s)),
          authenticatorData: bytes,
          clientDataJSON,
        }),
      ),
    )
  }
  return cases
}
