#!/usr/bin/env node
// Gives the pinned npm compiler the command line that forge expects of a native one.

import { readFileSync } from 'node:fs'
import solc from 'solc'

if (process.argv.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`)
} else if (process.argv.includes('--standard-json')) {
  console.log(solc.compile(readFileSync(0, 'utf8')))
} else {
  console.error('only --version and --standard-json are supported')
  process.exit(2)
}
