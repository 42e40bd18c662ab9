// What is compared: each case is a call and what the package answers to it.

import assert from 'node:assert/strict'

import { askAll } from './rpc.mjs'

export const refused = Symbol('refused')

/** Makes a case. What the package throws at, the oracle must refuse. */
export function makeCase(method, params, expected) {
  try {
    return { method, params, expected: expected() }
  } catch {
    return { method, params, expected: refused }
  }
}

/** JSON that is to come as hex of its text. */
export function asJson(text) {
  return { json: text }
}

// Quirk: the package repeats addresses in the letters in which it got them; the oracle writes their
// checksums. Everything else is lower case on both sides.
const plain = (text) => text.toLowerCase()

function actualOf(reply, expected) {
  if (reply.error) return refused
  if (expected?.json === undefined) return reply.result
  return { json: plain(Buffer.from(reply.result.slice(2), 'hex').toString('utf8')) }
}

/** Asks the oracle for every case and compares. Returns the number of cases by method. */
export async function compare(url, cases) {
  const replies = await askAll(url, cases)
  const counts = {}
  cases.forEach(({ method, params, expected }, index) => {
    const wanted = expected?.json === undefined ? expected : { json: plain(expected.json) }
    const actual = actualOf(replies[index], expected)
    try {
      assert.deepEqual(actual, wanted)
    } catch (error) {
      const asked = JSON.stringify(params)
      error.message = `${method} ${asked}\n${JSON.stringify(replies[index].error)}\n${error.message}`
      throw error
    }
    const name = expected === refused ? `${method} (refused)` : method
    counts[name] = (counts[name] ?? 0) + 1
  })
  return counts
}
