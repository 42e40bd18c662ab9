#!/usr/bin/env bash
# Builds the enclave image, prints its measurements (JSON, as holders' measurements.json lists them) on
# standard output, and where it is on standard error: $CARGO_TARGET_DIR/image/keyfold.eif.
# The same sources and compilers give the same bytes, in any folder and for any user.
set -euo pipefail
# shellcheck source=tools/enclave/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly TARGET=x86_64-unknown-linux-musl LOCK="$ENCLAVE_HOME/programs.lock"

compilers() {
    printf 'rust %s\n' "$(rustc --version | awk '{ print $2 }')"
    printf 'gcc %s\nbinutils %s\n' "$(gcc -dumpfullversion)" "$(ld --version | awk 'NR == 1 { print $NF }')"
    printf 'musl-tools %s\n' "$(dpkg-query -W -f='${Version}' musl-tools)"
}

prepare() {
    have_packages build-essential musl-tools
    # The pinned Rust where it is installed beside a newer one.
    local rust
    rust=$(locked "$LOCK" rust)
    if [[ $(rustc --version | awk '{ print $2 }') != "$rust" ]] &&
        RUSTUP_TOOLCHAIN=$rust rustc --version >/dev/null 2>&1; then
        export RUSTUP_TOOLCHAIN=$rust
    fi
    [[ -d $(rustc --print sysroot)/lib/rustlib/$TARGET ]] || rustup --quiet target add "$TARGET" >&2 ||
        die "the target $TARGET is missing. Run: rustup target add $TARGET"
    [[ $(compilers) == "$(grep -v '^#' "$LOCK")" ]] || {
        say 'warning: other compilers than programs.lock says: the measurements will not be the published ones'
        diff <(grep -v '^#' "$LOCK") <(compilers) >&2 || true
    }
}

# programs: the two programs. Paths of this machine are replaced in what the compilers write down.
programs() {
    local home=${CARGO_HOME:-$HOME/.cargo} flags='' c_flags='-g0' from to source
    cargo fetch --quiet --locked --manifest-path "$KEYFOLD_ROOT/Cargo.toml" --target "$TARGET" >&2
    remap() {
        flags+="${flags:+$'\x1f'}--remap-path-prefix=$1=$2"
        c_flags+=" -ffile-prefix-map=$1=$2"
    }
    remap "$KEYFOLD_ROOT" /keyfold
    remap "$CARGO_TARGET_DIR" /target
    # The later one counts: the folder of a registry has its address in its name.
    remap "$home" /cargo
    for source in "$home"/registry/src/*/; do
        from=${source%/} to=/crates
        remap "$from" "$to"
    done
    env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="$flags" CARGO_INCREMENTAL=0 SOURCE_DATE_EPOCH=0 \
        CC_x86_64_unknown_linux_musl=musl-gcc CFLAGS_x86_64_unknown_linux_musl="$c_flags" \
        cargo build --quiet --locked --jobs "$ENCLAVE_JOBS" --manifest-path "$KEYFOLD_ROOT/Cargo.toml" \
        --profile enclave --target "$TARGET" -p keyfold-enclave-program --bins >&2
}

main() {
    local kernel built out="$CARGO_TARGET_DIR/image"
    prepare
    kernel=$("$ENCLAVE_HOME/kernel.sh")
    programs
    built="$CARGO_TARGET_DIR/$TARGET/enclave"
    mkdir -p "$out"
    cargo run --quiet --locked --manifest-path "$KEYFOLD_ROOT/Cargo.toml" -p keyfold-image -- build \
        --kernel "$kernel" --kernel-version "$(locked "$ENCLAVE_HOME/kernel.lock" version)" \
        --command-line "$ENCLAVE_HOME/cmdline" --init "$built/keyfold-enclave-init" \
        --service "$built/keyfold-enclave" --out "$out/keyfold.eif" >"$out/measurements.json"
    say "$out/keyfold.eif ($(stat -c %s "$out/keyfold.eif") bytes)"
    cat "$out/measurements.json"
}

main "$@"
