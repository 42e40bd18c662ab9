// Our contracts accept what `keyfold rpc` makes: forge runs contracts/test/rpc against it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { forge } from '../contracts/tools/forge.mjs'
import { startOracle } from './src/rpc.mjs'

const contracts = fileURLToPath(new URL('../contracts', import.meta.url))

test('contracts accept what the oracle makes', async () => {
  const oracle = await startOracle()
  try {
    const child = spawn(forge(), ['test', '--match-path', 'test/rpc/*'], {
      cwd: contracts,
      env: { ...process.env, KEYFOLD_RPC: oracle.url },
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text
      })
    }
    const status = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(status, 0, said)
    // Without the server they are skipped, which would prove nothing.
    const [, passed, skipped] = /: (\d+) tests passed, 0 failed, (\d+) skipped/.exec(said) ?? []
    assert.ok(Number(passed) >= 12 && Number(skipped) === 0, said)
    console.log(`${passed} tests of the contracts passed`)
  } finally {
    await oracle.end()
  }
})
