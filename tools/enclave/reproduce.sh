#!/usr/bin/env bash
# Builds the enclave image here, and again from a copy of the sources in another folder, with every cache
# empty and, where this is root, as another user; then compares the bytes. Takes as long as a first build.
#   tools/enclave/reproduce.sh              fails where the two images differ, and says in what
#   KEYFOLD_KEEP=1 tools/enclave/reproduce.sh   leaves the other folder
set -euo pipefail
# shellcheck source=tools/enclave/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Of another length than any usual path.
elsewhere=$(mktemp -d "${TMPDIR:-/tmp}/keyfold-built-again-in-quite-another-folder.XXXXXX")
cleanup() {
    [[ ${KEYFOLD_KEEP:-} == 1 ]] && say "left: $elsewhere" || rm -rf "$elsewhere"
}
trap cleanup EXIT

main() {
    local toolchain user=()
    "$ENCLAVE_HOME/build.sh" >/dev/null
    mkdir -p "$elsewhere"/{sources,home,cargo}
    # What is there, committed or not; nothing that was built.
    git -C "$KEYFOLD_ROOT" ls-files -z --cached --others --exclude-standard |
        (cd "$KEYFOLD_ROOT" && tar --null --files-from=- --create) | tar -x -C "$elsewhere/sources"
    # A registry that this machine is configured to use stays the one that is used.
    local configuration=${CARGO_HOME:-$HOME/.cargo}/config.toml
    [[ ! -e $configuration ]] || cp "$configuration" "$elsewhere/cargo/"
    # The compiler is no cache, but where it lives must not matter either.
    toolchain=$(rustc --print sysroot)
    cp -a "$toolchain" "$elsewhere/rust"
    if [[ $(id -u) == 0 ]]; then
        chown -R 65534:65534 "$elsewhere"
        user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    say "building again in $elsewhere, as $("${user[@]}" id -u)"
    (
        cd "$elsewhere"
        "${user[@]}" env -i PATH="$elsewhere/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$elsewhere/home" \
            CARGO_HOME="$elsewhere/cargo" KEYFOLD_CACHE="$elsewhere/cache" CARGO_TARGET_DIR="$elsewhere/target" \
            KEYFOLD_ENCLAVE_JOBS="$ENCLAVE_JOBS" KEYFOLD_KERNEL_SOURCE="${KEYFOLD_KERNEL_SOURCE:-}" \
            "$elsewhere/sources/tools/enclave/build.sh" >/dev/null
    )
    compare "$CARGO_TARGET_DIR" "$elsewhere/target"
}

compare() {
    local image part
    for image in "$1" "$2"; do
        printf '%s  %s\n' "$(sha256_of "$image/image/keyfold.eif")" "$image/image/keyfold.eif"
    done
    if cmp "$1/image/keyfold.eif" "$2/image/keyfold.eif" &&
        cmp "$1/image/measurements.json" "$2/image/measurements.json"; then
        printf 'the same bytes, and these measurements:\n'
        cat "$1/image/measurements.json"
        return
    fi
    for part in keyfold-enclave-init keyfold-enclave; do
        cmp "$1/x86_64-unknown-linux-musl/enclave/$part" "$2/x86_64-unknown-linux-musl/enclave/$part" || true
    done
    diff <(node "$ENCLAVE_HOME/measure.mjs" "$1/image/keyfold.eif") \
        <(node "$ENCLAVE_HOME/measure.mjs" "$2/image/keyfold.eif") || true
    die 'the two images differ'
}

main
