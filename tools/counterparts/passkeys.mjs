// A browser with passkeys that is not ours: Chromium, headless, with virtual authenticators of its
// DevTools, and pages over TLS on loopback. Spoken to as lines.mjs says.
//
// The pages are at the names that a test gives, on port 443 as far as the browser knows; every other name
// is unknown to it.

import { X509Certificate, createHash } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import https from 'node:https'
import path from 'node:path'
import puppeteer from 'puppeteer-core'
import { serve } from './lines.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const PAGE = '<!doctype html><meta charset="utf-8"><title>Keyfold tests</title>'

let server
let browser
let page
let devtools
/** Where passkeys are asked for: the page, or a page that it frames. */
let frame

/** Finds the browser, as tools/setup.sh does. */
function chromium() {
  if (process.env.KEYFOLD_CHROMIUM) return process.env.KEYFOLD_CHROMIUM
  for (const folder of process.env.PATH.split(path.delimiter)) {
    for (const name of NAMES) {
      const program = path.join(folder, name)
      try {
        accessSync(program, constants.X_OK)
        return program
      } catch { /* not here */ }
    }
  }
  throw new Error('there is no Chromium: run tools/setup.sh tests')
}

const spkiHash = (certificate) => createHash('sha256')
  .update(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')

async function launch({ cert, key, hosts, profile }) {
  server = https.createServer({ cert, key, minVersion: 'TLSv1.3' }, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  const rules = [...hosts.map((host) => `MAP ${host}:443 127.0.0.1:${port}`), 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1']
  browser = await puppeteer.launch({
    executablePath: chromium(),
    headless: true,
    // A pipe, not a port: the browser ends when this process does, however that ends.
    pipe: true,
    userDataDir: profile,
    args: [
      `--host-resolver-rules=${rules.join(',')}`,
      `--ignore-certificate-errors-spki-list=${spkiHash(cert)}`,
      '--disable-background-networking', '--disable-component-update', '--disable-default-apps',
      '--disable-sync', '--no-first-run', '--disable-gpu',
      // Its sandbox refuses to run as root.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  })
  page = await browser.newPage()
  devtools = await page.createCDPSession()
  await devtools.send('WebAuthn.enable')
}

/** Goes to a page, or to one with a frame that may use passkeys. */
async function visit({ origin, top }) {
  await page.goto(`${top ?? origin}/`, { waitUntil: 'load' })
  frame = page.mainFrame()
  if (!top) return
  await page.evaluate((src) => new Promise((resolve) => {
    const inner = document.createElement('iframe')
    inner.allow = 'publickey-credentials-get *; publickey-credentials-create *'
    inner.onload = resolve
    inner.src = src
    document.body.append(inner)
  }), `${origin}/`)
  frame = page.frames().find((candidate) => candidate.url() === `${origin}/`)
  if (!frame) throw new Error(`the page of ${origin} was not framed`)
}

/** Runs a ceremony where we are. Throws what the page would see: `NotAllowedError: …`. */
async function ceremony(kind, options) {
  const { credential, refused } = await frame.evaluate(async (kind, options) => {
    try {
      const publicKey = kind === 'create'
        ? PublicKeyCredential.parseCreationOptionsFromJSON(options)
        : PublicKeyCredential.parseRequestOptionsFromJSON(options)
      const credential = await navigator.credentials[kind]({ publicKey })
      return { credential: credential.toJSON() }
    } catch (error) {
      return { refused: `${error.name}: ${error.message}` }
    }
  }, kind, options)
  if (refused) throw new Error(refused)
  return credential
}

await serve({
  /** Starts the browser: `{cert, key, hosts, profile}`, the last an empty folder. */
  start: launch,

  visit,

  /** Adds an authenticator: options of DevTools' WebAuthn.addVirtualAuthenticator. Its name. */
  async authenticator(options) {
    const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', { options })
    return authenticatorId
  },

  remove: ({ authenticatorId }) => devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }).then(() => null),

  /** Whether its owner passes its PIN or fingerprint from now on. */
  verified: ({ authenticatorId, isUserVerified }) =>
    devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }).then(() => null),

  /** What an authenticator holds, private keys too. */
  credentials: ({ authenticatorId }) =>
    devtools.send('WebAuthn.getCredentials', { authenticatorId }).then(({ credentials }) => credentials),

  /** Puts a credential into an authenticator: a copy, or one with another counter. */
  put: ({ authenticatorId, credential }) =>
    devtools.send('WebAuthn.addCredential', { authenticatorId, credential }).then(() => null),

  create: ({ options }) => ceremony('create', options),
  get: ({ options }) => ceremony('get', options),
}, {
  async end() {
    await browser?.close().catch(() => {})
    server?.closeAllConnections()
  },
})
