#!/usr/bin/env bash
# Checks licences, bans and sources of every dependency (deny.toml) with cargo-deny.
# The advisory database lives outside the package registries, so it is a command of its own, for
# machines that may reach it: cargo deny check advisories
#
# Without cargo-deny: on a build server (CI is set) it is compiled once into $KEYFOLD_CACHE, elsewhere
# the check is skipped, loudly. KEYFOLD_SKIP_DENY=1 skips it anywhere.
set -euo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

readonly VERSION=0.20.2

skip() {
    printf '\n  NOT CHECKED: licences, bans and sources of dependencies (%s)\n\n' "$1" >&2
    exit 0
}

[[ ${KEYFOLD_SKIP_DENY:-} != 1 ]] || skip 'KEYFOLD_SKIP_DENY=1'

if ! command -v cargo-deny >/dev/null; then
    [[ -n ${CI:-} ]] || skip "cargo-deny is missing; install it by: cargo install cargo-deny --locked --version $VERSION"
    echo "deny: compiling cargo-deny $VERSION into $KEYFOLD_CACHE (once; some minutes)" >&2
    cargo install cargo-deny --locked --quiet --version "$VERSION" --root "$KEYFOLD_CACHE" \
        --target-dir "$KEYFOLD_CACHE/deny-build" ||
        { echo 'deny: cargo-deny could not be compiled; KEYFOLD_SKIP_DENY=1 goes on without it' >&2; exit 1; }
    rm -rf "$KEYFOLD_CACHE/deny-build"
fi

cd "$KEYFOLD_ROOT"
cargo deny --workspace --all-features check --hide-inclusion-graph bans licenses sources
