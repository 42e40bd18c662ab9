#!/usr/bin/env bash
# Installs what a build needs and this machine lacks, and says nothing when nothing is missing.
# Expects git, a C compiler, rustup and Node; where it is root on Debian it installs those it can.
# Talks to package registries only. Writes to standard error and to $KEYFOLD_CACHE.
#   tools/setup.sh         what building, the demo and the checks need
#   tools/setup.sh tests   also what the tests meet: tools/counterparts, and Chromium
set -euo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
exec 1>&2

readonly RUST_NEEDED=1.95.0
readonly NODE_NEEDED=20

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*"; exit 1; }

# need COMMAND PACKAGE ADVICE: makes sure that COMMAND exists, by Debian's PACKAGE where we may.
apt_updated=
need() {
    command -v "$1" >/dev/null && return
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing the Debian package $2 (for $1)"
        [[ $apt_updated ]] || apt-get -qq update || true
        apt_updated=1
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $2 >/dev/null || true
        hash -r
    fi
    command -v "$1" >/dev/null || die "$1 is missing. $3"
}

# at_least HAVE WANT: compares dotted versions.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1) == "$2" ]]; }

check_rust() {
    local have
    have=$(rustc --version 2>/dev/null | awk '{print $2}') || true
    if [[ -z $have ]] || ! at_least "$have" "$RUST_NEEDED"; then
        command -v rustup >/dev/null ||
            die "rustc ${have:-is missing, and} $RUST_NEEDED or newer is needed. Install rustup (https://rustup.rs) and run this again."
        say "installing Rust $RUST_NEEDED beside ${have:-nothing} (rustup toolchain install $RUST_NEEDED)"
        rustup --quiet toolchain install "$RUST_NEEDED" --profile minimal --component clippy,rustfmt ||
            die "rustup could not install Rust $RUST_NEEDED. Run: rustup toolchain install $RUST_NEEDED"
        printf '%s\n' "$RUST_NEEDED" >"$KEYFOLD_CACHE/rust-toolchain"
        export RUSTUP_TOOLCHAIN=$RUST_NEEDED
    fi
    local part
    for part in clippy rustfmt; do
        cargo "${part/rust/}" --version >/dev/null 2>&1 || {
            say "adding $part"
            rustup --quiet component add "$part" || die "$part is missing. Run: rustup component add $part"
        }
    done
    [[ -d $(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown ]] || {
        say 'adding the target wasm32-unknown-unknown'
        rustup --quiet target add wasm32-unknown-unknown ||
            die 'the WebAssembly target is missing. Run: rustup target add wasm32-unknown-unknown'
    }
}

check_node() {
    local have
    have=$(node --version)
    at_least "${have#v}" "$NODE_NEEDED" ||
        die "Node $have is too old: $NODE_NEEDED or newer is needed (https://nodejs.org)."
}

# npm_packages FOLDER: installs FOLDER's locked packages into the cache, whole or not at all.
# Install scripts do not run. `npm install`, not `npm ci`: it accepts a lock file that lists the
# native packages of some platforms only, and still checks every hash that is in the lock.
npm_packages() {
    local home work
    home=$(npm_home "$1")
    [[ -d $home ]] && return
    say "installing npm packages of ${1#"$KEYFOLD_ROOT"/}"
    work=$(mktemp -d "$KEYFOLD_CACHE/npm-work.XXXXXX")
    cp "$1/package.json" "$1/package-lock.json" "$work/"
    [[ ! -f $1/.npmrc ]] || cp "$1/.npmrc" "$work/"
    (cd "$work" && npm install --ignore-scripts --no-audit --no-fund --no-save --loglevel=error >/dev/null) ||
        { rm -rf "$work"; die "npm could not install the packages of $1 (see above)."; }
    link_native_programs "$work/node_modules"
    # Where another setup was faster, its result is the same.
    [[ -d $home ]] || mv "$work" "$home"
    rm -rf "$work"
}

# Foundry's npm commands are Node scripts that start the native program and, when killed, leave it
# running. Point the commands at the native programs.
link_native_programs() {
    local program native
    for program in anvil cast forge; do
        for native in "$1/@foundry-rs/$program"-*/bin/"$program"; do
            [[ ! -x $native ]] || ln -sf "../${native#"$1"/}" "$1/.bin/$program"
        done
    done
}

# Chromium, for the passkeys of a real browser: $KEYFOLD_CHROMIUM, or one of the usual names.
check_chromium() {
    [[ -z ${KEYFOLD_CHROMIUM:-} ]] || return 0
    local name
    for name in chromium chromium-browser google-chrome; do
        ! command -v "$name" >/dev/null || return 0
    done
    need chromium chromium 'Install Chromium (on Debian, as root: apt-get install chromium), or set KEYFOLD_CHROMIUM to the program.'
}

# npm_folder FOLDER: installs FOLDER's packages and links them there. A node_modules that somebody made
# by `npm install` is left alone.
npm_folder() {
    npm_packages "$1"
    [[ -d $1/node_modules && ! -L $1/node_modules ]] ||
        ln -sfn "$(npm_home "$1")/node_modules" "$1/node_modules"
}

main() {
    mkdir -p "$KEYFOLD_CACHE"
    need git git 'Install git.'
    need cc build-essential 'Install a C compiler.'
    need make make 'Install make.'
    need rustc rustup 'Install rustup (https://rustup.rs).'
    need node nodejs 'Install Node 20 or newer (https://nodejs.org).'
    need npm npm 'Install npm; it comes with Node.'
    check_rust
    check_node
    npm_packages "$KEYFOLD_ROOT/tools/npm"
    ln -sfn "$(npm_home "$KEYFOLD_ROOT/tools/npm")" "$KEYFOLD_CACHE/npm"
    local folder
    for folder in contracts conformance; do
        [[ ! -f $KEYFOLD_ROOT/$folder/package-lock.json ]] || npm_folder "$KEYFOLD_ROOT/$folder"
    done
    [[ ${1:-} == tests ]] || return 0
    check_chromium
    npm_folder "$KEYFOLD_ROOT/tools/counterparts"
}

main "$@"
