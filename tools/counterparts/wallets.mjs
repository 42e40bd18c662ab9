// Wallets and judges that are not ours: `siwe`, `@solana/wallet-standard-util` and
// `@farcaster/auth-client` compose what their standards say, keys made of a person's name sign it, and
// `jose` and `standardwebhooks` judge what Keyfold signs. Spoken to as lines.mjs says.

import { createHash, createHmac } from 'node:crypto'
import { createAppClient, createWalletClient } from '@farcaster/auth-client'
import { ed25519 } from '@noble/curves/ed25519'
import { createSignInMessage, parseSignInMessageText, verifySignIn } from '@solana/wallet-standard-util'
import bs58 from 'bs58'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { SiweMessage } from 'siwe'
import { Webhook } from 'standardwebhooks'
import { createClient, custom } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { serve } from './lines.mjs'

/** The key of a person: the same in every run. */
const keyOf = (who) => createHash('sha256').update(`keyfold tests: ${who}`).digest()
const ethereum = (who) => privateKeyToAccount(`0x${keyOf(who).toString('hex')}`)
const solana = (who) => {
  const secret = keyOf(who)
  const publicKey = ed25519.getPublicKey(secret)
  return { publicKey, address: bs58.encode(publicKey), sign: (message) => ed25519.sign(message, secret) }
}
const base64url = (bytes) => Buffer.from(bytes).toString('base64url')
const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64url'))

/** Signs a text as a wallet does: EIP-191. */
async function personalSign(who, message) {
  const signature = await ethereum(who).signMessage({ message })
  return { message, signature: base64url(Buffer.from(signature.slice(2), 'hex')) }
}

/** What a registry on chain would say, without one: which account an address has custody of. */
const registry = (custody) => ({
  getFid: async (address) => BigInt(custody[address] ?? 0),
  isValidAuthAddress: async () => false,
  // viem asks a chain for a contract first; where none answers, the signature has to be a key's.
  publicClient: createClient({ transport: custom({ request }, { retryCount: 0 }) }),
})
const request = async () => { throw new Error('there is no chain') }

/** Reads base32 (RFC 4648). */
function base32(text) {
  const bits = [...text].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
}

const relay = 'https://relay.example.test'

await serve({
  address: ({ who }) => ({ ethereum: ethereum(who).address, solana: solana(who).address }),

  /** A message of `siwe`, whose fields are its own, signed. */
  siwe: ({ who, fields }) =>
    personalSign(who, new SiweMessage({ address: ethereum(who).address, version: '1', ...fields }).prepareMessage()),

  /** A message of the Solana wallet standard, signed. */
  siws({ who, fields }) {
    const { address, publicKey, sign } = solana(who)
    const signedMessage = createSignInMessage({ address, ...fields })
    const signature = sign(signedMessage)
    const message = Buffer.from(signedMessage).toString()
    const output = { account: { address, publicKey }, signedMessage, signature }
    // The library is the first to judge its own message; a test that builds on a bad one says nothing.
    if (!verifySignIn({ address, ...fields }, output)) throw new Error('the wallet standard refuses this')
    return { message, signature: base64url(signature) }
  },

  'siws.read': ({ message }) => parseSignInMessageText(message),

  /** A message of the Farcaster client, signed by an account's custody address. */
  farcaster({ who, fields }) {
    const client = createWalletClient({ relay, ethereum: registry({}) })
    const times = ['expirationTime', 'notBefore'].filter((name) => name in fields)
    const dates = Object.fromEntries(times.map((name) => [name, new Date(fields[name])]))
    const { message, isError, error } = client.buildSignInMessage({
      address: ethereum(who).address, ...fields, ...dates,
    })
    if (isError) throw error
    return personalSign(who, message)
  },

  /** Whether the Farcaster client accepts a signed message. */
  async 'farcaster.check'({ message, signature, nonce, domain, custody }) {
    const client = createAppClient({ relay, ethereum: registry(custody) })
    const { success, fid, isError, error } = await client.verifySignInMessage({
      message, nonce, domain, signature: `0x${Buffer.from(bytesOf(signature)).toString('hex')}`,
      acceptAuthAddress: false,
    })
    if (isError) throw error
    return { success, fid }
  },

  /** The code that an app of codes shows at a time, of the address that it scanned (RFC 6238, RFC 4226). */
  totp({ uri, at }) {
    const parameters = new URL(uri).searchParams
    const number = (name) => Number(parameters.get(name))
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64BE(BigInt(Math.floor(at / number('period'))))
    const mac = createHmac(parameters.get('algorithm'), base32(parameters.get('secret'))).update(counter).digest()
    const truncated = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff
    return String(truncated % 10 ** number('digits')).padStart(number('digits'), '0')
  },

  /** What an app's own server does with a token: verify it under a published key set. */
  async 'jwt.check'({ token, jwks, options }) {
    const { currentUnixSeconds, ...rest } = options
    const currentDate = new Date(currentUnixSeconds * 1000)
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks), { ...rest, currentDate })
    return { payload, header: protectedHeader }
  },

  /** What an app's own server does with a webhook. Throws where it is not genuine, or old. */
  'webhook.check': ({ secret, headers, body }) => new Webhook(secret).verify(body, headers),

  'webhook.sign': ({ secret, id, unixSeconds, body }) =>
    new Webhook(secret).sign(id, new Date(unixSeconds * 1000), body),
})
