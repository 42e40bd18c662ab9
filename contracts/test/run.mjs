// `npm test`: the committed artifacts are what the sources compile to, they do
// what they should, and cost no more gas than they did.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { forge } from '../tools/forge.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

run(process.execPath, ['build.mjs', '--check'])
run(forge(), ['test', ...process.argv.slice(2)])
run(process.execPath, ['gas/check.mjs'])
