#!/usr/bin/env node
// Measures an enclave image by code of its own, for whoever does not want to believe the builder:
// prints PCR0, 1 and 2 as the security module computes them at boot, and what the ramdisks hold.
// Needs Node and nothing else.
//   node tools/enclave/measure.mjs keyfold.eif

import { createHash } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const HEADER = 548
const [KERNEL, COMMAND_LINE, RAMDISK] = [1, 2, 3]

/** The sections of an image in order: `{ type, data }`. */
export function sections(image) {
  if (image.subarray(0, 4).toString('latin1') !== '.eif') throw new Error('not an enclave image')
  const found = []
  for (let at = HEADER; at < image.length;) {
    const length = Number(image.readBigUInt64BE(at + 4))
    const data = image.subarray(at + 12, at + 12 + length)
    if (data.length !== length) throw new Error('a section is cut off')
    found.push({ type: image.readUInt16BE(at), data })
    at += 12 + length
  }
  return found
}

const sha384 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha384')).digest()
const register = (parts) => sha384(Buffer.alloc(48), sha384(...parts)).toString('hex')

/** PCR0, 1 and 2 of an image. */
export function measure(image) {
  const of = (type) => sections(image).filter((it) => it.type === type).map((it) => it.data)
  const [boot, ...application] = of(RAMDISK)
  const below = [...of(KERNEL), ...of(COMMAND_LINE), boot]
  return { pcr0: register([...below, ...application]), pcr1: register(below), pcr2: register(application) }
}

/** Names, modes and SHA-256 of what each ramdisk holds. */
export function contents(image) {
  const entries = []
  for (const { type, data } of sections(image)) {
    if (type !== RAMDISK) continue
    const archive = gunzipSync(data)
    const aligned = (at) => (at + 3) & ~3
    for (let at = 0; ;) {
      const field = (number) => parseInt(archive.toString('latin1', at + 6 + 8 * number, at + 14 + 8 * number), 16)
      const [mode, size, named] = [field(1), field(6), field(11)]
      const name = archive.toString('latin1', at + 110, at + 110 + named - 1)
      if (name === 'TRAILER!!!') break
      const begin = aligned(at + 110 + named)
      const file = archive.subarray(begin, begin + size)
      entries.push({ name, mode: mode.toString(8), sha256: createHash('sha256').update(file).digest('hex') })
      at = aligned(begin + size)
    }
  }
  return entries
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const image = readFileSync(process.argv[2] ?? 0)
  console.log(JSON.stringify({ ...measure(image), contents: contents(image) }, null, 2))
}
