import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { selfSigned } from './self-signed.mjs'

const sinkPath = fileURLToPath(new URL('../smtp-sink.mjs', import.meta.url))
const modules = process.env.KEYFOLD_TOOLS
assert.ok(modules, 'KEYFOLD_TOOLS is not set: run these tests by `make test`')
const nodemailer = createRequire(path.join(modules, 'resolve-from-here.cjs'))('nodemailer')

let root
let tls
const running = new Set()

before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'keyfold-smtp-'))
  tls = selfSigned()
  await writeFile(path.join(root, 'cert.pem'), tls.cert)
  await writeFile(path.join(root, 'key.pem'), tls.key)
})

after(async () => {
  for (const child of running) child.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
})

let folders = 0
async function startSink(...flags) {
  const dir = path.join(root, `mail-${folders++}`)
  const child = spawn(process.execPath, [
    sinkPath, '--cert', path.join(root, 'cert.pem'), '--key', path.join(root, 'key.pem'), '--dir', dir, ...flags,
  ], { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.on('exit', () => running.delete(child))
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', (code) => reject(new Error(`the sink ended with code ${code}`)))
  })
  const { event, port } = JSON.parse(line)
  assert.equal(event, 'listening')
  return { child, dir, port }
}

function post(sink, options = {}, text = 'Your code is 01234567') {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1', port: sink.port, requireTLS: true, tls: { ca: tls.cert }, ...options,
  })
  const sent = transport.sendMail({ from: 'keyfold@example.org', to: 'ada@example.org', subject: 'Sign in', text })
  return sent.finally(() => transport.close())
}

/** Speaks SMTP by hand, in the clear, and returns the server's answers. */
async function plainDialogue(port, ...commands) {
  const socket = net.connect(port, '127.0.0.1')
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const answer = async () => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done || value[3] !== '-') return value
    }
  }
  const answers = [await answer()]
  for (const command of commands) {
    socket.write(`${command}\r\n`)
    answers.push(await answer())
  }
  socket.destroy()
  return answers
}

test('mail over STARTTLS becomes numbered files, whole and private', async () => {
  const sink = await startSink()
  await post(sink)
  await post(sink, {}, 'Your code is 89898989')
  assert.deepEqual((await readdir(sink.dir)).sort(), ['0001.eml', '0002.eml'])
  const first = await readFile(path.join(sink.dir, '0001.eml'), 'utf8')
  assert.match(first, /^To: ada@example\.org\r$/m)
  assert.match(first, /01234567/)
  assert.match(await readFile(path.join(sink.dir, '0002.eml'), 'utf8'), /89898989/)
  assert.equal((await stat(path.join(sink.dir, '0001.eml'))).mode & 0o777, 0o600)
})

test('parallel mails get different numbers and none is lost', async () => {
  const sink = await startSink()
  await Promise.all(Array.from({ length: 8 }, (_, index) => post(sink, {}, `code ${index}`)))
  const names = (await readdir(sink.dir)).sort()
  assert.equal(names.length, 8)
  const texts = await Promise.all(names.map((name) => readFile(path.join(sink.dir, name), 'utf8')))
  const codes = texts.map((text) => /code (\d)/.exec(text)[1]).sort()
  assert.deepEqual(codes, ['0', '1', '2', '3', '4', '5', '6', '7'])
})

test('a restart goes on numbering and replaces nothing', async () => {
  const sink = await startSink()
  await post(sink, {}, 'old')
  sink.child.stdin.end()
  await once(sink.child, 'exit')
  const again = await startSink('--dir', sink.dir)
  await post(again, {}, 'new')
  assert.match(await readFile(path.join(sink.dir, '0001.eml'), 'utf8'), /old/)
  assert.match(await readFile(path.join(sink.dir, '0002.eml'), 'utf8'), /new/)
})

test('mail in the clear is refused', async () => {
  const sink = await startSink('--starttls')
  const [, , refused] = await plainDialogue(sink.port, 'EHLO there', 'MAIL FROM:<a@example.org>')
  assert.match(refused, /^530 /)
  assert.deepEqual(await readdir(sink.dir), [])
})

test('credentials in the clear are refused', async () => {
  const sink = await startSink('--starttls', '--user', 'keyfold', '--pass', 'correct')
  const plain = Buffer.from('\0keyfold\0correct').toString('base64')
  const [, , refused] = await plainDialogue(sink.port, 'EHLO there', `AUTH PLAIN ${plain}`)
  assert.match(refused, /^5\d\d /)
})

test('implicit TLS takes mail from the first byte', async () => {
  const sink = await startSink('--implicit-tls')
  await post(sink, { secure: true })
  assert.deepEqual(await readdir(sink.dir), ['0001.eml'])
})

test('TLS below 1.3 is refused', async () => {
  const sink = await startSink('--implicit-tls')
  await assert.rejects(post(sink, { secure: true, tls: { ca: tls.cert, maxVersion: 'TLSv1.2' } }), /version/i)
  assert.deepEqual(await readdir(sink.dir), [])
})

test('a client that trusts another authority does not deliver', async () => {
  const sink = await startSink()
  await assert.rejects(post(sink, { tls: { ca: selfSigned().cert } }), /certificate|self.signed/i)
  assert.deepEqual(await readdir(sink.dir), [])
})

test('only the right password delivers', async () => {
  const sink = await startSink('--user', 'keyfold', '--pass', 'correct')
  await assert.rejects(post(sink, { auth: { user: 'keyfold', pass: 'wrong' } }), /535/)
  await assert.rejects(post(sink))
  await post(sink, { auth: { user: 'keyfold', pass: 'correct' } })
  assert.deepEqual(await readdir(sink.dir), ['0001.eml'])
})

test('a mail over one mebibyte is refused and the next one passes', async () => {
  const sink = await startSink()
  await assert.rejects(post(sink, {}, 'x'.repeat((1 << 20) + 1)), /552/)
  await post(sink)
  assert.deepEqual(await readdir(sink.dir), ['0001.eml'])
})

test('it ends when its standard input closes', async () => {
  const { child } = await startSink()
  child.stdin.end()
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('it ends on SIGTERM', async () => {
  const { child } = await startSink()
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('both ways to begin with TLS are a usage error', async () => {
  await assert.rejects(startSink('--starttls', '--implicit-tls'), /code 2/)
})

test('a missing certificate is a usage error', async () => {
  const child = spawn(process.execPath, [sinkPath, '--dir', path.join(root, 'none')], { stdio: ['pipe', 'ignore', 'ignore'] })
  assert.deepEqual(await once(child, 'exit'), [2, null])
})
