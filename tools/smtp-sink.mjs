// A real SMTP server that keeps what it is sent: the mailbox of `make demo`, `make dev` and the tests.
//
//   node tools/smtp-sink.mjs --cert C.pem --key K.pem --dir D [--port 0] [--host 127.0.0.1]
//                            [--implicit-tls | --starttls] [--user U --pass P]
//
// Prints one JSON line when it listens, {"event":"listening","host":…,"port":…}, and nothing else on
// standard output. Each mail becomes D/NNNN.eml, whole or not at all. Mail is taken over TLS 1.3 only: from
// the first byte with --implicit-tls, otherwise after STARTTLS, which is required: neither a password nor a
// sender is taken before it. Ends on SIGTERM, SIGINT and when its standard input closes, so that it cannot
// outlive the process that started it.
//
// npm's `smtp-server` is looked up in $KEYFOLD_TOOLS (a node_modules folder that tools/setup.sh fills).

import { createRequire } from 'node:module'
import { mkdir, open, readFile, readdir, link, unlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { timingSafeEqual, createHash } from 'node:crypto'
import { parseArgs } from 'node:util'

const MAX_MAIL_BYTES = 1 << 20
const MAX_CLIENTS = 64
const IDLE_MILLISECONDS = 60_000

class UsageError extends Error {}

/** Reads the command line; throws `UsageError` with a sentence that says what to change. */
function readOptions(argv) {
  let values
  try {
    ;({ values } = parseArgs({
      args: argv,
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '0' },
        cert: { type: 'string' },
        key: { type: 'string' },
        dir: { type: 'string' },
        user: { type: 'string' },
        pass: { type: 'string' },
        'implicit-tls': { type: 'boolean', default: false },
        starttls: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    throw new UsageError(error.message)
  }
  for (const name of ['cert', 'key', 'dir']) {
    if (!values[name]) throw new UsageError(`--${name} is missing`)
  }
  if (values['implicit-tls'] && values.starttls) {
    throw new UsageError('--implicit-tls and --starttls exclude each other')
  }
  if ((values.user === undefined) !== (values.pass === undefined)) {
    throw new UsageError('--user and --pass go together')
  }
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new UsageError(`--port ${values.port} is not a port number (0 picks a free one)`)
  }
  return { ...values, port }
}

function loadSmtpServer() {
  const cache = process.env.KEYFOLD_CACHE ?? path.join(homedir(), '.cache', 'keyfold')
  const modules = process.env.KEYFOLD_TOOLS ?? path.join(cache, 'npm', 'node_modules')
  try {
    return createRequire(path.join(modules, 'resolve-from-here.cjs'))('smtp-server').SMTPServer
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    throw new UsageError(`smtp-server is not in ${modules}: run tools/setup.sh`)
  }
}

/** Compares without telling by its duration where two strings first differ. */
function sameText(left, right) {
  const digest = (text) => createHash('sha256').update(String(text)).digest()
  return timingSafeEqual(digest(left), digest(right))
}

function refuse(code, text) {
  return Object.assign(new Error(text), { responseCode: code })
}

/** Collects one message, up to the limit; past it reads on without keeping, so the reply arrives. */
async function collect(stream) {
  const parts = []
  let size = 0
  for await (const part of stream) {
    size += part.length
    if (size <= MAX_MAIL_BYTES) parts.push(part)
    else parts.length = 0
  }
  if (size > MAX_MAIL_BYTES) throw refuse(552, 'Message is larger than 1 MiB')
  return Buffer.concat(parts)
}

/** A folder of numbered messages. A reader sees a file only once it is complete and on disk. */
class Mailbox {
  #dir
  #next = 1
  #turn = Promise.resolve()

  static async open(dir) {
    const mailbox = new Mailbox()
    mailbox.#dir = dir
    await mkdir(dir, { recursive: true, mode: 0o700 })
    for (const name of await readdir(dir)) {
      const number = /^(\d+)\.eml$/.exec(name)?.[1]
      if (number) mailbox.#next = Math.max(mailbox.#next, Number(number) + 1)
    }
    return mailbox
  }

  /** Stores one message; messages are numbered in the order in which they were complete. */
  store(bytes) {
    const stored = this.#turn.then(() => this.#write(bytes))
    this.#turn = stored.catch(() => {})
    return stored
  }

  async #write(bytes) {
    const name = `${String(this.#next).padStart(4, '0')}.eml`
    const partial = path.join(this.#dir, `.${name}.${process.pid}.partial`)
    const file = await open(partial, 'wx', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    // link, not rename: it refuses to replace a message that another process has put there.
    await link(partial, path.join(this.#dir, name))
    await unlink(partial)
    this.#next += 1
  }
}

async function start(options) {
  const SMTPServer = loadSmtpServer()
  const [cert, key, mailbox] = await Promise.all([
    readFile(options.cert),
    readFile(options.key),
    Mailbox.open(options.dir),
  ])
  const wantsAuth = options.user !== undefined
  const server = new SMTPServer({
    name: 'localhost',
    banner: 'Keyfold mail sink',
    secure: options['implicit-tls'],
    cert,
    key,
    minVersion: 'TLSv1.3',
    size: MAX_MAIL_BYTES,
    maxClients: MAX_CLIENTS,
    socketTimeout: IDLE_MILLISECONDS,
    closeTimeout: 500,
    disableReverseLookup: true,
    authOptional: !wantsAuth,
    authMethods: ['PLAIN', 'LOGIN'],
    disabledCommands: wantsAuth ? [] : ['AUTH'],
    onAuth(auth, session, done) {
      const good = sameText(auth.username, options.user) & sameText(auth.password, options.pass)
      if (session.secure && good) done(null, { user: options.user })
      else done(refuse(535, 'Authentication failed'))
    },
    onMailFrom(address, session, done) {
      done(session.secure ? null : refuse(530, 'Must issue a STARTTLS command first'))
    },
    onData(stream, session, done) {
      collect(stream)
        .then((bytes) => mailbox.store(bytes))
        .then(() => done(null, 'Kept'), (error) => {
          if (!error.responseCode) console.error(`smtp-sink: cannot keep a mail: ${error.message}`)
          done(error.responseCode ? error : refuse(451, 'Cannot keep the message, try again later'))
        })
    },
  })
  // A client that drops its connection is not this server's failure.
  server.on('error', (error) => {
    if (!server.server.listening) fail(error)
  })
  await new Promise((resolve) => server.listen(options.port, options.host, resolve))
  return server
}

function fail(error) {
  console.error(`smtp-sink: ${error.message}`)
  process.exit(error instanceof UsageError ? 2 : 1)
}

function endWithParent(server) {
  let ending = false
  const end = () => {
    if (ending) return
    ending = true
    server.close(() => process.exit(0))
    setTimeout(() => process.exit(0), 1_000).unref()
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  process.stdin.on('end', end).on('close', end).on('error', end).resume()
  process.stdout.on('error', end)
}

try {
  const options = readOptions(process.argv.slice(2))
  const server = await start(options)
  endWithParent(server)
  const { address, port } = server.server.address()
  process.stdout.write(`${JSON.stringify({ event: 'listening', host: address, port })}\n`)
} catch (error) {
  fail(error)
}
