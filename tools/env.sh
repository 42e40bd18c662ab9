# Where builds and tools live. Sourced by every recipe of the Makefile and by the scripts beside it;
# sets variables and does nothing else.
#
#   KEYFOLD_CACHE     build output, npm packages, installed tools; outside the checkout, so that a
#                     clean checkout builds fast the second time (default: ~/.cache/keyfold)
#   CARGO_TARGET_DIR  cargo's output (default: $KEYFOLD_CACHE/target)
#   KEYFOLD_TOOLS     a node_modules folder with anvil, cast, smtp-server; set here, read by
#                     keyfold-dev and the tests
#   KEYFOLD_SMTP_SINK the mail server script of this checkout
#   KEYFOLD_CHROMIUM  the browser of the tests, where it has none of the usual names; not set here

KEYFOLD_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export KEYFOLD_ROOT
export KEYFOLD_CACHE="${KEYFOLD_CACHE:-$HOME/.cache/keyfold}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$KEYFOLD_CACHE/target}"
export KEYFOLD_SMTP_SINK="$KEYFOLD_ROOT/tools/smtp-sink.mjs"
export PATH="$KEYFOLD_CACHE/bin:$HOME/.cargo/bin:$PATH"

# The name of a toolchain that setup.sh installed because the default one was too old.
if [[ -z ${RUSTUP_TOOLCHAIN:-} && -s $KEYFOLD_CACHE/rust-toolchain ]]; then
    RUSTUP_TOOLCHAIN=$(<"$KEYFOLD_CACHE/rust-toolchain")
    export RUSTUP_TOOLCHAIN
fi

keyfold_hash() {
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi | cut -c1-16
}

# npm_home FOLDER: where the packages of FOLDER/package-lock.json are installed.
npm_home() {
    printf '%s/npm-%s\n' "$KEYFOLD_CACHE" \
        "$(cat "$1/package.json" "$1/package-lock.json" | keyfold_hash)"
}

KEYFOLD_TOOLS="$(npm_home "$KEYFOLD_ROOT/tools/npm")/node_modules"
export KEYFOLD_TOOLS
