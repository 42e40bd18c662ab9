// Providers that differ from the standard, or have addresses of their own: what of them is known from
// their public documents, over `oidc-provider`.

import { createPublicKey } from 'node:crypto'
import { decodeProtectedHeader, jwtVerify } from 'jose'

const MAX_FORM_BYTES = 64 << 10

export const SHAPES = {
  openid: {},

  google: {
    routes: { authorization: '/o/oauth2/v2/auth', token: '/token', jwks: '/oauth2/v3/certs' },
  },

  // The client's secret is a statement signed by the developer's key, judged here as Apple says it does.
  apple: {
    routes: { authorization: '/auth/authorize', token: '/auth/token', jwks: '/auth/keys' },
    async before(ctx, { clients, apple }) {
      if (ctx.path !== '/auth/token') return
      const form = new URLSearchParams(await readBody(ctx.req))
      const secret = form.get('client_secret') ?? ''
      const good = await isAppleSecret(secret, form.get('client_id'), apple)
      // The standard's own check follows, with a secret that is right or wrong for good.
      form.set('client_secret', good ? clients[0].client_secret : 'wrong')
      ctx.req.body = Object.fromEntries(form)
    },
  },

  x: {
    routes: { authorization: '/i/oauth2/authorize', token: '/2/oauth2/token' },
    scopes: ['users.read', 'tweet.read'],
    answer: answerAt('/2/users/me', (sub) => ({ data: { id: sub, name: 'A Person', username: 'person' } })),
  },

  discord: {
    routes: { authorization: '/oauth2/authorize', token: '/api/oauth2/token' },
    scopes: ['identify', 'email'],
    answer: answerAt('/api/users/@me', (sub, { email, email_verified: verified }) =>
      ({ id: sub, username: 'person', discriminator: '0', avatar: null, verified, email })),
  },
}

/** Answers who an access token is of, at a path. */
function answerAt(path, answer) {
  return async (provider, ctx, { people }) => {
    if (ctx.path !== path) return false
    const token = /^Bearer (.+)$/.exec(ctx.get('authorization'))?.[1]
    const found = token && (await provider.AccessToken.find(token))
    ctx.status = found?.isValid ? 200 : 401
    ctx.body = found?.isValid ? answer(found.accountId, people.get(found.accountId)) : { message: '401: Unauthorized' }
    return true
  }
}

async function isAppleSecret(secret, clientId, { team_id: teamId, key_id: keyId, public_key: publicKey }) {
  try {
    const options = { algorithms: ['ES256'], issuer: teamId, subject: clientId, audience: 'https://appleid.apple.com' }
    const { payload } = await jwtVerify(secret, createPublicKey({ key: publicKey, format: 'jwk' }), options)
    return decodeProtectedHeader(secret).kid === keyId && payload.exp - payload.iat <= 15_777_000
  } catch {
    return false
  }
}

async function readBody(request) {
  const parts = []
  let size = 0
  for await (const part of request) {
    size += part.length
    if (size > MAX_FORM_BYTES) throw new Error('the form is too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}
