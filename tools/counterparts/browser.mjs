// A browser's part in a sign-in at a provider: follow redirects and keep cookies, until the way leads to
// an app.

import https from 'node:https'

const MAX_HOPS = 10

/**
 * Goes from an address at the provider to the app's callback. Every host is the provider, at `port`.
 * Returns `{url, callback}`, the callback as the query or the form that arrives there.
 */
export async function browse(url, { trust, port }) {
  const provider = new URL(url).origin
  const cookies = new Map()
  for (let hop = 0; hop < MAX_HOPS; hop += 1) {
    const { status, headers, body } = await get(url, { trust, port, cookies })
    for (const cookie of headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)
      if (value) cookies.set(name, value)
      else cookies.delete(name)
    }
    if (headers.location) {
      const next = new URL(headers.location, url)
      if (next.origin !== provider) return { url: next.href, callback: next.search.slice(1) }
      url = next.href
      continue
    }
    const form = readForm(body)
    if (status === 200 && form) return form
    throw new Error(`the provider answered ${status}: ${body.replace(/<style.*?<\/style>|<[^>]+>|\s+/gs, ' ').slice(0, 300)}`)
  }
  throw new Error('the provider redirects without end')
}

function get(url, { trust, port, cookies }) {
  const { host, hostname, pathname, search } = new URL(url)
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const options = {
    host: '127.0.0.1', port, servername: hostname, ca: trust, agent: false,
    path: pathname + search, headers: { host, accept: 'text/html', ...(cookie && { cookie }) },
  }
  return new Promise((resolve, reject) => {
    https.get(options, (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part)).on('error', reject).on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }))
    }).on('error', reject)
  })
}

/** Reads a page that posts a form by itself (`response_mode=form_post`). */
function readForm(page) {
  const action = /<form[^>]* action="([^"]*)"/.exec(page)?.[1]
  if (!action) return undefined
  const plain = (text) => text.replace(/&(amp|lt|gt|quot|#39|#x27|#x2F);/g, (entity) =>
    ({ '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&#x27;': "'", '&#x2F;': '/' })[entity])
  const fields = [...page.matchAll(/<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"/g)]
  const form = new URLSearchParams(fields.map(([, name, value]) => [plain(name), plain(value)]))
  return { url: plain(action), callback: form.toString() }
}
