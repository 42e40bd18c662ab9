// Reads what test runners printed and prints the sum, "N passed, N failed".
// What was not run at all (a line "NOT RUN: ...") is named in lines of its own before it.
// Knows the closing lines of cargo-nextest, cargo test, node --test and forge.

import { readFileSync } from 'node:fs'

const input = readFileSync(0, 'utf8').replace(/\x1b\[[0-9;]*m/g, '')
let passed = 0
let failed = 0
const notRun = new Set()

const number = (line, word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0)

for (const line of input.split('\n')) {
  if (/^\s*NOT RUN: /.test(line)) notRun.add(line.trim())
  if (/^\s*Summary \[.*\d+ tests? run:|^test result: /.test(line)) {
    passed += number(line, 'passed')
    failed += number(line, 'failed') + number(line, 'timed out') + number(line, 'exec failed')
  } else if (/^(# |ℹ )(pass|fail|cancelled) \d+$/.test(line)) {
    const [, , word, count] = /^(# |ℹ )(pass|fail|cancelled) (\d+)$/.exec(line)
    if (word === 'pass') passed += Number(count)
    else failed += Number(count)
  } else if (/^Ran \d+ test suites? .*tests passed/.test(line)) {
    passed += number(line, 'tests? passed')
    failed += number(line, 'failed')
  }
}

for (const line of notRun) console.log(line)
console.log(`${passed} passed, ${failed} failed`)
