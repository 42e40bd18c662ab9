#!/usr/bin/env bash
# Builds the QEMU that has the machine `nitro-enclave`, from Debian's source (Debian's own packages lack
# the machine), and the vsock daemon it needs. Once; prints the folder, which has
#   qemu-system-x86_64  vhost-device-vsock  rom/
# For tests alone: nothing of it is in a release or in an enclave image.
#   tools/enclave/qemu.sh          build where it is missing
#   tools/enclave/qemu.sh --find   print the folder, or fail where it is missing
set -euo pipefail
# shellcheck source=tools/enclave/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly SUITE=trixie MESON=1.5.0 DISTLIB=0.3.9 VSOCK=0.3.0

# The machine and what it is made of, and nothing else.
devices() {
    printf 'CONFIG_%s=y\n' NITRO_ENCLAVE MICROVM VHOST_USER_VSOCK VIRTIO_NSM EIF
}

# unpack_roms WORK: the two that the machine starts from, which Debian's source package leaves out.
unpack_roms() {
    mkdir -p "$1/roms" "$1/out/rom"
    (cd "$1/roms" && apt_with "$SUITE" -qq download qemu-system-data >&2)
    dpkg-deb -x "$1"/roms/qemu-system-data_*.deb "$1/roms"
    local rom
    for rom in qboot.rom linuxboot_dma.bin; do
        cp "$(find "$1/roms" -name "$rom" -print -quit)" "$1/out/rom/"
    done
}

build_qemu() {
    local work=$1 tree
    (cd "$work" && apt_with "$SUITE" -qq source --only-source qemu >&2)
    tree=$(find "$work" -maxdepth 1 -type d -name 'qemu-*' -print -quit)
    devices >"$tree/configs/devices/x86_64-softmmu/nitro.mak"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" --quiet --disable-pip-version-check install "meson==$MESON" "distlib==$DISTLIB" >&2
    mkdir "$work/build"
    (
        cd "$work/build"
        PATH="$work/venv/bin:$PATH" "$tree/configure" --target-list=x86_64-softmmu \
            --without-default-features --without-default-devices --with-devices-x86_64=nitro \
            --enable-system --enable-tcg --disable-kvm --enable-fdt=system --enable-gnutls \
            --enable-libcbor --enable-vhost-user --disable-docs --disable-tools \
            --disable-install-blobs --disable-werror
        PATH="$work/venv/bin:$PATH" ninja -j"$ENCLAVE_JOBS" qemu-system-x86_64
    ) >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; die 'QEMU does not build (see above)'; }
    strip -o "$work/out/qemu-system-x86_64" "$work/build/qemu-system-x86_64"
    "$work/out/qemu-system-x86_64" --version | head -n1 >"$work/out/version"
}

build_vsock() {
    CARGO_TARGET_DIR="$1/vsock" cargo install --quiet --locked --jobs "$ENCLAVE_JOBS" --root "$1/vsock-root" \
        --version "$VSOCK" vhost-device-vsock >&2 || die 'vhost-device-vsock does not build (see above)'
    cp "$1/vsock-root/bin/vhost-device-vsock" "$1/out/"
}

main() {
    local home work
    home=$(product qemu "$(keyfold_hash "$ENCLAVE_HOME/qemu.sh")")
    if [[ -x $home/qemu-system-x86_64 ]]; then
        printf '%s\n' "$home"
        return
    fi
    [[ ${1:-} != --find ]] || die 'QEMU with the machine nitro-enclave was not built: tools/enclave/qemu.sh'
    have_packages build-essential dpkg-dev flex bison libcbor-dev libfdt-dev libgnutls28-dev libglib2.0-dev \
        libpixman-1-dev ninja-build pkg-config python3-venv
    say 'building QEMU and its vsock daemon (some ten minutes; once)'
    work=$(work_folder)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    apt_with "$SUITE" -qq update >&2
    unpack_roms "$work"
    build_vsock "$work"
    build_qemu "$work"
    keep "$work/out" "$home"
    printf '%s\n' "$home"
}

main "$@"
