// What the provider can be told to do wrong. Its own answer is made first, then changed; a changed token
// is signed anew with the provider's own key, so that nothing but the change is wrong with it.

import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { CompactSign, SignJWT, decodeJwt, decodeProtectedHeader } from 'jose'

const HUGE_BYTES = 10 << 20
const DRIP_MILLISECONDS = 20

/** Faults of an ID token's claims. */
const CLAIMS = {
  'token-issuer': { iss: 'https://other.example.test' },
  'token-issuer-slash': (claims) => ({ iss: `${claims.iss}/` }),
  'token-audience': { aud: 'another-client' },
  'token-audience-more': (claims) => ({ aud: [claims.aud, 'another-client'], azp: claims.aud }),
  'token-party': { azp: 'another-client' },
  'token-nonce': { nonce: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
  'token-without-nonce': { nonce: undefined },
  'token-expired': (claims) => ({ iat: claims.iat - 400, exp: claims.iat - 100 }),
  'token-old': (claims) => ({ iat: claims.iat - 3_600 }),
  'token-future': (claims) => ({ iat: claims.iat + 600, exp: claims.iat + 1_200 }),
  'token-signed-in-long-ago': (claims) => ({ auth_time: claims.iat - 3_600 }),
  'token-without-time-of-sign-in': { auth_time: undefined },
  'token-without-subject': { sub: undefined },
}

/** Faults of an ID token's signature: from its claims and the provider's key to a text. */
const SIGNATURES = {
  'token-none': (claims) => `${part({ alg: 'none' })}.${part(claims)}.`,
  // The public key as the secret of an HMAC.
  'token-hmac': (claims, key, header) => {
    const secret = createPublicKey(key).export({ type: 'spki', format: 'pem' })
    return new SignJWT(claims).setProtectedHeader({ ...header, alg: 'HS256' }).sign(Buffer.from(secret))
  },
  // A key of the same name that the provider does not publish.
  'token-signature': (claims, key, header) => sign(claims, strangersKey(key), header),
  'token-key': (claims, key, header) => sign(claims, key, { ...header, kid: 'unpublished' }),
  // A key in the header itself, which verifies.
  'token-brings-key': (claims, key, header) => {
    const stranger = strangersKey(key)
    return sign(claims, stranger, { ...header, jwk: createPublicKey(stranger).export({ format: 'jwk' }) })
  },
  'token-type': (claims, key, header) => sign(claims, key, { ...header, typ: 'at+jwt' }),
}

/** Faults of the discovery document. */
const DISCOVERY = {
  'discovery-issuer': { issuer: 'https://other.example.test' },
  'discovery-inside': { jwks_uri: 'https://169.254.169.254/jwks' },
  'discovery-clear': (document) => ({ token_endpoint: document.token_endpoint.replace('https:', 'http:') }),
  'discovery-without-pkce': { code_challenge_methods_supported: ['plain'] },
}

/** Faults of the callback's query. */
const CALLBACK = {
  'callback-issuer': (query) => query.set('iss', 'https://other.example.test'),
  'callback-without-issuer': (query) => query.delete('iss'),
  'callback-state': (query) => query.set('state', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
  'callback-two-codes': (query) => query.append('code', 'another'),
}

/** Faults of what is sent: `ROUTE-silent`, `ROUTE-slow`, `ROUTE-huge`, `ROUTE-redirect`, `ROUTE-error`. */
const ROUTES = ['discovery', 'jwks', 'token']
const SENDING = ['silent', 'slow', 'huge', 'redirect', 'error']

/** Every name there is. */
export const FAULTS = new Set([
  ...[CLAIMS, SIGNATURES, DISCOVERY, CALLBACK].flatMap(Object.keys),
  ...ROUTES.flatMap((route) => SENDING.map((fault) => `${route}-${fault}`)),
])

/** Answers a request, wrongly as far as `state.faults` says so. */
export async function misbehave(state, ctx, next) {
  const { faults } = state
  await next()
  const route = ctx.oidc?.route
  if (route === 'discovery') change(DISCOVERY, faults, ctx.body)
  if (route === 'token' && ctx.body?.id_token) ctx.body.id_token = await changeToken(state, ctx.body.id_token)
  const location = ctx.response.get('location')
  if (location && new URL(location, ctx.href).searchParams.has('state')) changeCallback(faults, ctx, location)
  if (ROUTES.includes(route)) changeSending(route, faults, ctx)
}

function change(table, faults, target) {
  for (const [name, fault] of Object.entries(table)) {
    if (faults.has(name)) Object.assign(target, typeof fault === 'function' ? fault(target) : fault)
  }
}

async function changeToken({ faults, keys }, token) {
  const claims = decodeJwt(token)
  const header = decodeProtectedHeader(token)
  const before = JSON.stringify(claims)
  change(CLAIMS, faults, claims)
  const key = createPrivateKey({ key: keys.find(({ kid }) => kid === header.kid), format: 'jwk' })
  for (const [name, fault] of Object.entries(SIGNATURES)) {
    if (faults.has(name)) return fault(claims, key, header)
  }
  return JSON.stringify(claims) === before ? token : sign(claims, key, header)
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const sign = (claims, key, header) =>
  new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(key)

/** A key of the same kind. */
function strangersKey({ asymmetricKeyType: kind }) {
  const options = { rsa: { modulusLength: 2048 }, ec: { namedCurve: 'P-256' } }
  return generateKeyPairSync(kind, options[kind]).privateKey
}

function changeCallback(faults, ctx, location) {
  const url = new URL(location, ctx.href)
  for (const [name, fault] of Object.entries(CALLBACK)) {
    if (faults.has(name)) fault(url.searchParams)
  }
  ctx.response.set('location', url.href)
}

function changeSending(route, faults, ctx) {
  if (faults.has(`${route}-redirect`)) {
    ctx.status = 302
    ctx.response.set('location', 'http://169.254.169.254/latest/meta-data/')
  }
  if (faults.has(`${route}-error`)) ctx.throw(503)
  if (faults.has(`${route}-huge`)) ctx.body = { ...ctx.body, padding: 'x'.repeat(HUGE_BYTES) }
  const slow = faults.has(`${route}-slow`)
  if (!slow && !faults.has(`${route}-silent`)) return
  // Answered here, or never: until the other side has enough of it.
  ctx.respond = false
  if (!slow) return
  ctx.res.writeHead(ctx.status, { 'content-type': 'application/json' })
  const drip = setInterval(() => ctx.res.write(' '), DRIP_MILLISECONDS)
  ctx.res.on('close', () => clearInterval(drip))
}
