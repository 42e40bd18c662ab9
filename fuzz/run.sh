#!/usr/bin/env bash
# Builds the fuzz targets and runs each for a while: fuzz/run.sh [TARGET...] (default: all).
#   FUZZ_SECONDS  how long each target runs (default 30)
# The corpus grows in $KEYFOLD_CACHE/fuzz/corpus, inputs that broke something are written to
# $KEYFOLD_CACHE/fuzz/artifacts; nothing is written to the checkout. Goes on after a failure and
# exits non-zero when anything failed.
set -euo pipefail
# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/env.sh"
cd "$KEYFOLD_ROOT"

readonly CARGO_FUZZ=0.13.2
readonly SECONDS_EACH=${FUZZ_SECONDS:-30}
readonly HOME_OF_FUZZ=$KEYFOLD_CACHE/fuzz
# Built by another compiler with sanitizers: kept apart from the usual output.
export CARGO_TARGET_DIR=$KEYFOLD_CACHE/fuzz-target

say() { printf 'fuzz: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

setup() {
    # libFuzzer is C++, and sanitizers are unstable options of the compiler.
    command -v c++ >/dev/null || die 'a C++ compiler is missing. Install build-essential (Debian) or the like.'
    rustc +nightly --version >/dev/null 2>&1 || {
        command -v rustup >/dev/null || die 'rustup is missing (https://rustup.rs): fuzzing needs a nightly compiler.'
        say 'installing the nightly compiler (rustup toolchain install nightly)'
        rustup --quiet toolchain install nightly --profile minimal
    }
    [[ $(cargo-fuzz --version 2>/dev/null) == "cargo-fuzz $CARGO_FUZZ" ]] || {
        say "installing cargo-fuzz $CARGO_FUZZ into $KEYFOLD_CACHE/bin"
        cargo install --quiet --locked --force --root "$KEYFOLD_CACHE" "cargo-fuzz@$CARGO_FUZZ"
    }
}

all_targets() {
    local path
    for path in fuzz/fuzz_targets/*.rs; do basename "$path" .rs; done
}

# run TARGET: fuzzes it and shows the last line, or everything when it failed.
run() {
    local target=$1 corpus=$HOME_OF_FUZZ/corpus/$1 artifacts=$HOME_OF_FUZZ/artifacts/$1 log
    mkdir -p "$corpus" "$artifacts"
    log=$artifacts/last-run.log
    if "$programs/$target" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 \
        -max_len=8192 -artifact_prefix="$artifacts/" -print_final_stats=0 \
        "$corpus" "fuzz/seeds/$target" >"$log" 2>&1; then
        printf '%-26s %s\n' "$target" "$(grep '^Done ' "$log")"
    else
        cat "$log"
        printf '%-26s FAILED\n' "$target"
        return 1
    fi
}

setup
host=$(rustc +nightly -vV | awk '/^host:/ { print $2 }')
programs=$CARGO_TARGET_DIR/$host/release
cargo +nightly fuzz build --fuzz-dir fuzz >&2

targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(all_targets)
failed=()
for target in "${targets[@]}"; do
    [[ -f fuzz/fuzz_targets/$target.rs ]] || die "there is no target $target; the targets are: $(all_targets | xargs)"
    run "$target" || failed+=("$target")
done
printf '%d passed, %d failed\n' "$((${#targets[@]} - ${#failed[@]}))" "${#failed[@]}"
((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[*]}"; exit 1; }
