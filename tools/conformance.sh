#!/usr/bin/env bash
# Compares what `keyfold rpc` answers with the npm package that made the format, and has our contracts
# judge it.
#   tools/conformance.sh build   build the program
#   tools/conformance.sh test    compare; the program must be built
set -euo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd "$KEYFOLD_ROOT"
for what in "$@"; do
    case $what in
        build) cargo build --locked -p keyfold-cli ;;
        test) node --test conformance/*.test.mjs ;;
        *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
    esac
done
