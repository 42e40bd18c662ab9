#!/usr/bin/env bash
# Builds Keyfold and runs it: tools/run.sh debug|release COMMAND... executes `keyfold COMMAND...`.
# Everything but the command's own output goes to standard error, so that the last line of
# `make -s demo ARGS=--json` is the JSON object.
set -euo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

profile=$1
shift
"$KEYFOLD_ROOT/tools/setup.sh"
arguments=(--locked -p keyfold-cli -p keyfold-dev -p keyfold-holder)
[[ $profile != release ]] || arguments+=(--release)
cargo build --manifest-path "$KEYFOLD_ROOT/Cargo.toml" "${arguments[@]}" 1>&2
exec "$CARGO_TARGET_DIR/$profile/keyfold" "$@"
