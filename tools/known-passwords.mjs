// Writes crates/identity/src/password/known.bin from a list of passwords on stdin, one a line: of each
// that is long enough, the first six bytes of the SHA-256 of its lower case, sorted. What is committed
// came of `common-passwords.txt` of Django 5.1.4 (BSD-3-Clause): Royce Williams' list of the 20,000
// that were most often in breaches. Usage: node tools/known-passwords.mjs < common-passwords.txt

import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

const MIN_CHARS = 8
const PREFIX = 6

const lines = readFileSync(0, 'utf8').split('\n').map((line) => line.trim().toLowerCase())
const long = lines.filter((line) => [...line].length >= MIN_CHARS)
const prefixes = new Set(long.map((line) => createHash('sha256').update(line).digest('hex').slice(0, 2 * PREFIX)))
writeFileSync(new URL('../crates/identity/src/password/known.bin', import.meta.url), Buffer.from([...prefixes].sort().join(''), 'hex'))
process.stdout.write(`${prefixes.size} passwords\n`)
