#!/usr/bin/env bash
# Builds the enclave image, boots it in QEMU and has it sign for a wallet (testkit/tests/qemu.rs).
# On a build server (CI is set) kernel and QEMU are built where they are missing, once; elsewhere the test
# says loudly that it did not run, unless QEMU is there. KEYFOLD_SKIP_QEMU=1 skips it anywhere,
# KEYFOLD_BUILD_QEMU=1 builds QEMU anywhere.
set -euo pipefail
# shellcheck source=tools/enclave/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The line is counted by tools/count-tests.mjs.
not_run() {
    printf '\n  NOT RUN: the enclave image in QEMU (%s)\n\n' "$1"
    exit 0
}

[[ ${KEYFOLD_SKIP_QEMU:-} != 1 ]] || not_run 'KEYFOLD_SKIP_QEMU=1'
[[ $(uname -sm) == 'Linux x86_64' ]] || not_run 'it needs Linux on x86-64'
command -v apt-get >/dev/null || not_run 'its kernel and QEMU are built from Debian sources'

qemu=$("$ENCLAVE_HOME/qemu.sh" --find 2>/dev/null) || {
    [[ -n ${CI:-} || ${KEYFOLD_BUILD_QEMU:-} == 1 ]] ||
        not_run 'QEMU with the machine nitro-enclave was not built. Once, some ten minutes: tools/enclave/qemu.sh'
    [[ $(id -u) == 0 || ${KEYFOLD_BUILD_QEMU:-} == 1 ]] || not_run 'it is not root, to install what QEMU is built with'
    qemu=$("$ENCLAVE_HOME/qemu.sh")
}
"$ENCLAVE_HOME/build.sh" >&2

cd "$KEYFOLD_ROOT"
export KEYFOLD_QEMU=$qemu KEYFOLD_EIF="$CARGO_TARGET_DIR/image/keyfold.eif"
cargo test --locked -p keyfold-testkit --test qemu -- --ignored --nocapture
