#!/usr/bin/env bash
# Builds the enclave's kernel from the pinned Debian source, once, and prints the path of the bzImage.
# The same bytes wherever and whenever it is built, by the compiler that kernel.lock names.
#   tools/enclave/kernel.sh [--again]   --again builds although there is one, and prints where
set -euo pipefail
# shellcheck source=tools/enclave/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly LOCK="$ENCLAVE_HOME/kernel.lock" CONFIG="$ENCLAVE_HOME/kernel.config"

compiler() {
    printf 'gcc %s\nbinutils %s\n' "$(gcc -dumpfullversion)" "$(ld --version | awk 'NR == 1 { print $NF }')"
}

# source_tarball FOLDER: puts linux-source's tarball there.
source_tarball() {
    local package version given=${KEYFOLD_KERNEL_SOURCE:-}
    package=$(locked "$LOCK" package)
    version=$(locked "$LOCK" version)
    if [[ -n $given ]]; then
        cp "$given" "$1/source.deb"
    else
        (cd "$1" && apt-get -o APT::Sandbox::User=root -qq download "$package=$version" >&2) || die \
            "the archive has $package $version no more. Take it from snapshot.debian.org and set" \
            "KEYFOLD_KERNEL_SOURCE to the .deb, or move kernel.lock on."
        mv "$1/$package"_*.deb "$1/source.deb"
    fi
    [[ $(sha256_of "$1/source.deb") == "$(locked "$LOCK" sha256)" ]] ||
        die "the kernel's source is not the one of kernel.lock"
    dpkg-deb --fsys-tarfile "$1/source.deb" | tar -xf - -C "$1" --wildcards './usr/src/*.tar.xz'
    mv "$1"/usr/src/*.tar.xz "$1/source.tar.xz"
    rm -rf "${1:?}/usr" "$1/source.deb"
}

# configure TREE: tinyconfig and our lines; each line must have had its effect.
configure() {
    local line bad=
    make -C "$1" -s tinyconfig
    cat "$CONFIG" >>"$1/.config"
    make -C "$1" -s olddefconfig
    while read -r line; do
        case $line in
        CONFIG_*) grep -qxF "$line" "$1/.config" || bad+=" $line" ;;
        '# CONFIG_'*' is not set') ! grep -q "^$(awk '{ print $2 }' <<<"$line")=" "$1/.config" || bad+=" ${line// /_}" ;;
        esac
    done <"$CONFIG"
    [[ -z $bad ]] || die "lines of kernel.config without effect:$bad"
}

main() {
    have_packages build-essential bc bison flex libelf-dev xz-utils
    local key home work
    key=$({ cat "$LOCK" "$CONFIG" "$ENCLAVE_HOME/kernel.sh"; compiler; } | keyfold_hash)
    home=$(product kernel "$key")
    if [[ ${1:-} != --again && -s $home/bzImage ]]; then
        printf '%s\n' "$home/bzImage"
        return
    fi
    [[ $(compiler) == "$(grep -E '^(gcc|binutils) ' "$LOCK")" ]] ||
        say "warning: another compiler than kernel.lock's: the measurements will not be the published ones"
    say 'building the kernel (some minutes; once for each version)'
    work=$(work_folder)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    source_tarball "$work"
    mkdir "$work/tree"
    tar -xf "$work/source.tar.xz" -C "$work/tree" --strip-components=1
    rm "$work/source.tar.xz"
    configure "$work/tree" >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; die 'the kernel cannot be configured (see above)'; }
    make -C "$work/tree" -s -j"$ENCLAVE_JOBS" \
        KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=keyfold \
        KBUILD_BUILD_HOST=keyfold KBUILD_BUILD_VERSION=1 LOCALVERSION= bzImage >"$work/log" 2>&1 ||
        { tail -n 30 "$work/log" >&2; die 'the kernel does not build (see above)'; }
    mkdir "$work/out"
    cp "$work/tree/arch/x86/boot/bzImage" "$work/tree/.config" "$work/out/"
    if [[ ${1:-} == --again ]]; then
        home=$(mktemp -d "$ENCLAVE_CACHE/kernel-again.XXXXXX")
        cp "$work/out/bzImage" "$home/"
    else
        keep "$work/out" "$home"
    fi
    printf '%s\n' "$home/bzImage"
}

main "$@"
