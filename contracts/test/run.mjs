// `npm test`: the committed artifacts are what the sources compile to, and they do what they should.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** From npm where it has forge for this machine (package.json names the platform packages, since the one
 * that chooses cannot be locked while any of them is missing); otherwise whatever is installed. */
function forge() {
  const packaged = join(root, 'node_modules', '.bin', 'forge')
  if (existsSync(packaged)) return packaged
  if (spawnSync('forge', ['--version']).status === 0) return 'forge'
  console.error(`npm has no forge for ${process.platform} ${process.arch}: install forge 1.7.1 and try again.`)
  process.exit(1)
}

run(process.execPath, ['build.mjs', '--check'])
run(forge(), ['test', ...process.argv.slice(2)])
