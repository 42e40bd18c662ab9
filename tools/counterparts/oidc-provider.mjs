// An OpenID provider that is not ours, npm's `oidc-provider`, over TLS on loopback; and a browser's part
// in a sign-in there. Spoken to as lines.mjs says; misbehaviour.mjs has what it can be told to do wrong.
//
// It can stand where Google, Apple, X and Discord do (shapes.mjs): a test that maps their names to its
// port meets their addresses, their ways to prove a client, and their answers.

import { randomBytes } from 'node:crypto'
import https from 'node:https'
import { exportJWK, generateKeyPair } from 'jose'
import Provider from 'oidc-provider'
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js'
import { browse } from './browser.mjs'
import { serve } from './lines.mjs'
import { FAULTS, misbehave } from './misbehaviour.mjs'
import { SHAPES } from './shapes.mjs'

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA']

/** The state of the one provider of this process. */
const state = {
  issuer: undefined,
  shape: undefined,
  clients: [],
  /** Who signs in next; nobody: the person says no. */
  person: null,
  people: new Map(),
  faults: new Set(),
  /** Requests since the last time somebody asked, by route. */
  seen: {},
  /** Tokens that were given out. */
  given: [],
  keys: undefined,
  handler: undefined,
}
let server

async function makeKeys() {
  const make = async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    return { ...(await exportJWK(privateKey)), kid: randomBytes(8).toString('hex'), use: 'sig', alg }
  }
  return Promise.all(ALGORITHMS.map(make))
}

/** Outlives a change of keys: a code that was given out before it is redeemed after it. */
const store = createMemoryAdapter()

/** Makes the provider anew, with the keys of now. */
function makeProvider() {
  const { shape } = state
  const provider = new Provider(state.issuer, {
    adapter: store,
    clients: state.clients,
    jwks: { keys: state.keys },
    routes: shape.routes,
    scopes: shape.scopes ?? ['openid', 'email'],
    claims: { openid: ['sub'], email: ['email', 'email_verified', 'hd'] },
    conformIdTokenClaims: false,
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    responseTypes: ['code'],
    pkce: { required: () => true },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    ttl: { AuthorizationCode: 60, AccessToken: 60, IdToken: 300, Interaction: 60, Session: 60, Grant: 60 },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...state.people.get(sub) }) }),
    /** Everybody agrees to what an app asks. */
    async loadExistingGrant(ctx) {
      const { client, session, provider } = ctx.oidc
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope(ctx.oidc.params.scope)
      await grant.save()
      return grant
    },
  })
  provider.use(async (ctx, next) => {
    if (ctx.path.startsWith('/interaction/')) return signIn(provider, ctx)
    if (shape.answer && (await shape.answer(provider, ctx, state))) return count('userinfo')
    await shape.before?.(ctx, state)
    await misbehave(state, ctx, next)
    if (ctx.oidc?.route === 'token') state.given.push(...[ctx.body?.id_token, ctx.body?.access_token].filter(Boolean))
    count(ctx.oidc?.route ?? 'other')
  })
  provider.on('server_error', (ctx, error) => console.error('oidc-provider:', error))
  state.handler = provider.callback()
}

function count(route) {
  state.seen[route] = (state.seen[route] ?? 0) + 1
}

/** What the person does at the provider: sign in and agree, or say no. */
async function signIn(provider, ctx) {
  const result = state.person
    ? { login: { accountId: state.person } }
    : { error: 'access_denied', error_description: 'the person said no' }
  ctx.respond = false
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false })
}

await serve({
  /** Starts it: `{issuer, cert, key, shape?, clients, apple?}`; clients are oidc-provider's own metadata. */
  async start({ issuer, cert, key, shape = 'openid', clients, apple }) {
    if (server) throw new Error('it runs already')
    Object.assign(state, { issuer, clients, apple, shape: SHAPES[shape], keys: await makeKeys() })
    makeProvider()
    server = https.createServer({ cert, key, minVersion: 'TLSv1.3' }, (request, response) =>
      state.handler(request, response))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: server.address().port }
  },

  /** Who signs in from now on: `{sub, email?, email_verified?, hd?}`, or nobody. */
  person({ sub, ...claims }) {
    state.person = sub ?? null
    if (sub) state.people.set(sub, claims)
  },

  /** What it does wrong from now on: names of misbehaviour.mjs. */
  misbehave({ faults }) {
    const unknown = faults.filter((fault) => !FAULTS.has(fault))
    if (unknown.length) throw new Error(`there is no fault ${unknown}`)
    state.faults = new Set(faults)
  },

  /** Signs with new keys from now on, and publishes these alone. */
  async rotate() {
    state.keys = await makeKeys()
    makeProvider()
  },

  /** Requests since the last time, by route. */
  seen() {
    const { seen } = state
    state.seen = {}
    return seen
  },

  /** Every token that it has given out. */
  given: () => state.given,

  /** A browser's part: from an authorization address to what the app is called back with. */
  browse: ({ url, trust }) => browse(url, { trust, port: server.address().port }),
}, { end: () => server?.closeAllConnections() })
