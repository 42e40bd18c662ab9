// Starts `keyfold rpc` and asks it in batches.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const BATCH = 500

/** The program: $KEYFOLD, or where cargo puts it. */
function program() {
  if (process.env.KEYFOLD) return process.env.KEYFOLD
  const target =
    process.env.CARGO_TARGET_DIR ?? join(process.env.KEYFOLD_CACHE ?? join(homedir(), '.cache/keyfold'), 'target')
  const built = join(target, 'debug', 'keyfold')
  if (!existsSync(built)) throw new Error(`${built} is missing: cargo build -p keyfold-cli`)
  return built
}

/** Starts the oracle on a free port. `url` answers until `end` is awaited. */
export async function startOracle() {
  const child = spawn(program(), ['rpc', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const url = await new Promise((resolve, reject) => {
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text
      const found = /http:\/\/\S+\/rpc/.exec(said)
      if (found) resolve(found[0])
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`keyfold rpc ended: ${said}`)))
  })
  const end = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return { url, end }
}

/** Asks all, in batches, and gives the replies in the same order. */
export async function askAll(url, calls) {
  const replies = []
  for (let start = 0; start < calls.length; start += BATCH) {
    const batch = calls
      .slice(start, start + BATCH)
      .map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params }))
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(batch),
    })
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`)
    const list = await answer.json()
    list.forEach((reply, id) => {
      if (reply.id !== id) throw new Error('replies are out of order')
      replies.push(reply)
    })
  }
  return replies
}
