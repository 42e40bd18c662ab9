#!/usr/bin/env bash
# Rebuilds the Solidity and compares it, byte for byte, with the committed artifacts.
#   tools/contracts.sh check   compare (what `make contracts` and `make test` do)
#   tools/contracts.sh build   rewrite the artifacts
#   tools/contracts.sh test    run the contracts' own tests
set -euo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd "$KEYFOLD_ROOT/contracts"
exec npm run --silent "${1:-check}"
