// Two implementations agree on what an enclave image is and measures: keyfold-eif wrote the vector
// (crates/eif/tests/image.rs), tools/enclave/measure.mjs reads it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { contents, measure } from '../enclave/measure.mjs'

const vector = JSON.parse(readFileSync(new URL('../../vectors/eif.json', import.meta.url)))
const image = Buffer.from(vector.image, 'hex')
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

test('an image measures the same by other code', () => {
  assert.equal(sha256(image), vector.sha256)
  const { pcr0, pcr1, pcr2 } = vector
  assert.deepEqual(measure(image), { pcr0, pcr1, pcr2 })
})

test('the ramdisks hold what was put in, with its modes', () => {
  const found = contents(image).map(({ name, mode, sha256 }) => [name, mode, sha256])
  assert.deepEqual(found, [
    ['dev', '40755', sha256('')],
    ['dev/console', '20600', sha256('')],
    ['init', '100500', sha256('first program\n')],
    ['service', '100555', sha256('application\n')],
  ])
})
