// The documents must not promise what is not there: links lead somewhere, and every test that
// docs/requirements.md, docs/attack-cases.md, docs/asvs.md, docs/sign-in.md and docs/attestation.md name exists.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file) => readFileSync(path.join(root, file), 'utf8')
const underDocs = readdirSync(path.join(root, 'docs'), { recursive: true }).map((file) => path.join('docs', file))
const documents = [...readdirSync(root), ...underDocs].filter((file) => file.endsWith('.md'))

/** Links of a document that lead to no file, whatever follows a `#`. */
function deadLinks(file, text) {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1])
  const local = links.filter((link) => !/^[a-z]+:|^#/.test(link)).map((link) => link.split('#')[0])
  return local.filter((link) => !existsSync(path.join(root, path.dirname(file), link)))
}

/** The tests that a text names as `file` `test`, `test`. */
function testsOf(text) {
  const tests = []
  let file
  for (const [, code] of text.matchAll(/`([^`]+)`/g)) {
    if (code === 'arrows') file = 'testkit/tests/arrows.rs'
    else if (/^[\w./-]+\/[\w.-]+\.\w+$/.test(code)) file = code
    else if (file) tests.push({ file, name: code })
  }
  return tests
}

/** Rows of the table, and for each the tests that its last column names. */
function rowsOf(text, id = '[A-F]\\d+') {
  const row = new RegExp(`^\\| (${id}) \\| (.*) \\| ([^|]*) \\| ([^|]*) \\|$`, 'gm')
  return [...text.matchAll(row)].map(([, name, , status, answer]) => ({ id: name, status, tests: testsOf(answer) }))
}

/** The tests that paragraphs and cells name; what follows a file and is no test's name (`like_this`) is left out. */
function namedIn(text) {
  return text.split(/\n\n|\n\||\|/).flatMap((part) => testsOf(part)).filter(({ name }) => /^[a-z0-9]+(_[a-z0-9]+){2,}$/.test(name))
}

function missingTests(rows, load) {
  return rows.flatMap(({ id, tests }) => tests
    .filter(({ file, name }) => !load(file)?.includes(name))
    .map(({ file, name }) => `${id}: ${file} has no ${name}`))
}

const load = (file) => (existsSync(path.join(root, file)) ? read(file) : undefined)

test('links in documents lead somewhere', () => {
  const dead = documents.flatMap((file) => deadLinks(file, read(file)).map((link) => `${file}: ${link}`))
  assert.deepEqual(dead, [])
})

test('tests that the requirements name exist', () => {
  assert.deepEqual(missingTests(rowsOf(read('docs/requirements.md')), load), [])
})

test('tests that the attack cases name exist', () => {
  const rows = rowsOf(read('docs/attack-cases.md'))
  assert.equal(rows.length, 57)
  assert.deepEqual(missingTests(rows, load), [])
  for (const { id, status, tests } of rows) {
    assert.match(status, /^(tested|partly|later)$/, id)
    if (status !== 'later') assert.ok(tests.length > 0, `${id} names no test`)
  }
})

test('tests that the table of ASVS names exist, and no requirement is left out', () => {
  const rows = rowsOf(read('docs/asvs.md'), '\\d+\\.\\d+\\.\\d+(?:(?:, | to )\\d+\\.\\d+\\.\\d+)?')
  assert.deepEqual(missingTests(rows, load), [])
  for (const { id, status, tests } of rows) {
    assert.match(status, /^(met|document|partly|open|project|app|none)$/, id)
    if (/^(met|project)$/.test(status)) assert.ok(tests.length > 0, `${id} names no test`)
  }
  const ids = rows.flatMap(({ id }) => {
    const [first, last = first] = id.split(/, | to /)
    const [section, from, to] = [first.replace(/\d+$/, ''), Number(first.split('.')[2]), Number(last.split('.')[2])]
    return Array.from({ length: to - from + 1 }, (_, index) => `${section}${from + index}`)
  })
  // How many each section of version 5.0.0 has.
  const sections = {
    6: [3, 12, 8, 6, 8, 4, 2, 4], 7: [3, 4, 2, 5, 3, 2], 9: [3, 4], 10: [2, 3, 5, 16, 5, 2, 3],
  }
  const expected = Object.entries(sections).flatMap(([chapter, counts]) => counts.flatMap((count, section) =>
    Array.from({ length: count }, (_, index) => `${chapter}.${section + 1}.${index + 1}`)))
  assert.deepEqual(ids, expected)
})

test('tests that the page on signing in names exist', () => {
  const tests = namedIn(read('docs/sign-in.md'))
  assert.ok(tests.length > 20)
  assert.deepEqual(missingTests([{ id: 'docs/sign-in.md', tests }], load), [])
})

test('tests that the page on attestation names exist', () => {
  const tests = namedIn(read('docs/attestation.md')).filter(({ name }) => !name.startsWith('document_'))
  assert.ok(tests.length > 8)
  assert.deepEqual(missingTests([{ id: 'docs/attestation.md', tests }], load), [])
})

test('every requirement is numbered once, in order, with a status', () => {
  const rows = rowsOf(read('docs/requirements.md'))
  for (const [letter, expected] of [['A', 29], ['B', 71], ['C', 15], ['D', 19]]) {
    const ids = rows.map(({ id }) => id).filter((id) => id.startsWith(letter))
    assert.deepEqual(ids, Array.from({ length: expected }, (_, index) => `${letter}${index + 1}`))
  }
  for (const { id, status, tests } of rows) {
    assert.match(status, /^(tested|decision|underway|planned|outside|as [A-D above].*)$/, id)
    if (status === 'tested') assert.ok(tests.length > 0, `${id} says tested and names no test`)
  }
})

test('a dead link and a test that is gone are found', () => {
  assert.deepEqual(deadLinks('README.md', '[a](nowhere.md#x) [b](https://example.org) [c](LICENSE)'), ['nowhere.md'])
  const rows = rowsOf('| A1 | "x" | tested | `a/b.rs` `here`, `gone`; and `c/d.rs` `here` |')
  const files = { 'a/b.rs': 'fn here()' }
  assert.deepEqual(missingTests(rows, (file) => files[file]), ['A1: a/b.rs has no gone', 'A1: c/d.rs has no here'])
})
