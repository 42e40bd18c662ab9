#!/usr/bin/env bash
# Runs every check and every test, goes on after a failure so that one run shows all of them, and
# ends with the plain line "N passed, N failed". Exits non-zero when anything failed.
#   tools/test.sh         everything (`make test`)
#   tools/test.sh lint    formatting, lints, WASM builds, dependency rules (`make lint`)
set -uo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$KEYFOLD_ROOT" || exit 1

# The pure crates that must also build for browsers: "(w)" in ARCHITECTURE.md.
readonly WASM_CRATES=(crypto attest wallet log protocol guard client)

logs=$(mktemp -d "${TMPDIR:-/tmp}/keyfold-test.XXXXXX")
trap 'rm -rf "$logs"' EXIT
failed_steps=()

# step NAME COMMAND...: runs one check, shows and keeps what it prints.
step() {
    local name=$1 began=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    if "$@" 2>&1 | tee -a "$logs/output"; [[ ${PIPESTATUS[0]} == 0 ]]; then
        printf -- '-- %s: ok (%s s)\n' "$name" "$((SECONDS - began))"
    else
        printf -- '-- %s: FAILED (%s s)\n' "$name" "$((SECONDS - began))"
        failed_steps+=("$name")
    fi
}

wasm_check() {
    local crate arguments=()
    for crate in "${WASM_CRATES[@]}"; do arguments+=(-p "keyfold-$crate"); done
    cargo check --locked --target wasm32-unknown-unknown "${arguments[@]}"
}

rust_tests() {
    # Tests of the whole system start these programs.
    cargo build --locked --workspace --bins || return
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --workspace --no-fail-fast --status-level fail --final-status-level fail || return
    else
        echo 'cargo-nextest is missing; using cargo test (slower, same tests)'
        cargo test --locked --workspace --no-fail-fast --lib --bins --tests || return
    fi
}

lint() {
    step 'formatting' cargo fmt --all --check
    step 'lints' cargo clippy --locked --workspace --all-targets -- -D warnings
    step 'WebAssembly builds' wasm_check
    step 'dependency rules' tools/deny.sh
}

tests() {
    step 'contract artifacts' tools/contracts.sh check
    step 'contract tests' tools/contracts.sh test
    step 'tool tests' node --test tools/test/*.test.mjs
    step 'Rust tests' rust_tests
    step 'conformance' tools/conformance.sh test
    step 'enclave image' tools/enclave/test.sh
    step 'documentation tests' cargo test --locked --workspace --doc --quiet
}

lint
[[ ${1:-} == lint ]] || tests

touch "$logs/output"
if [[ ${1:-} != lint ]]; then
    echo
    node tools/count-tests.mjs <"$logs/output"
fi
if ((${#failed_steps[@]})); then
    printf 'failed: %s\n' "$(IFS=,; echo "${failed_steps[*]}")"
    exit 1
fi
