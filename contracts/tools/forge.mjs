// Finds forge: from npm where it has one for this machine (package.json names the platform packages, since the
// one that chooses cannot be locked while any of them is missing); otherwise whatever is installed.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

export function forge() {
  const packaged = join(root, 'node_modules', '.bin', 'forge')
  if (existsSync(packaged)) return packaged
  if (spawnSync('forge', ['--version']).status === 0) return 'forge'
  throw new Error(`npm has no forge for ${process.platform} ${process.arch}: install forge 1.7.1 and try again.`)
}
