# Shared by the scripts of this folder: where things are kept, and Debian's packages and sources.
# Sourced; defines functions and variables and does nothing else.
#
#   KEYFOLD_ENCLAVE_JOBS   compilers at once (default: all cores)
#   KEYFOLD_KERNEL_SOURCE  the pinned linux-source .deb or tarball, where the configured archive has it no more

# shellcheck source=tools/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../env.sh"

ENCLAVE_HOME="$KEYFOLD_ROOT/tools/enclave"
# Each product in a folder named by a hash of what it is built from.
ENCLAVE_CACHE="$KEYFOLD_CACHE/enclave"
ENCLAVE_JOBS="${KEYFOLD_ENCLAVE_JOBS:-$(nproc)}"
export LC_ALL=C TZ=UTC

say() { printf 'enclave: %s\n' "$*" >&2; }
die() { printf 'enclave: error: %s\n' "$*" >&2; exit 1; }

# have_packages PACKAGE...: installs Debian packages that are missing, where we may.
have_packages() {
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    [[ $(id -u) == 0 ]] || die "Debian packages are missing. As root: apt-get install ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    apt-get -qq update >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null ||
        die "these Debian packages cannot be installed: ${missing[*]}"
}

# debian_mirror: the archive that this machine takes Debian's packages from.
debian_mirror() {
    local uri
    uri=$(apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 !~ /security|updates|backports/ { print $3; exit }')
    [[ -n $uri ]] || die 'no Debian archive is configured on this machine (see /etc/apt/sources.list.d)'
    printf '%s\n' "$uri"
}

# apt_with SUITE WHAT...: runs apt-get with one suite of the configured archive and lists of its own, so
# that the machine's configuration stays as it is. Signatures are checked with the machine's keys.
apt_with() {
    local suite=$1 state="$ENCLAVE_CACHE/apt-$1"
    shift
    mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/empty"
    if [[ ! -s $state/sources.list ]]; then
        local mirror
        mirror=$(debian_mirror)
        printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$state/new"
        printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >>"$state/new"
        mv "$state/new" "$state/sources.list"
    fi
    apt-get -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts="$state/empty" \
        -o Dir::State::lists="$state/lists" -o Dir::Cache::archives="$state/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root "$@"
}

# locked FILE NAME: the value of NAME in a file of lines `name value`.
locked() {
    local value
    value=$(awk -v name="$2" '$1 == name { print $2 }' "$1")
    [[ -n $value ]] || die "$1 does not say $2"
    printf '%s\n' "$value"
}

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# product NAME KEY: the folder of a product; whole where it exists.
product() { printf '%s/%s-%s\n' "$ENCLAVE_CACHE" "$1" "$2"; }

# work_folder: a fresh folder beside the products, removed at exit.
work_folder() {
    mkdir -p "$ENCLAVE_CACHE"
    mktemp -d "$ENCLAVE_CACHE/work.XXXXXX"
}

# keep WORK PRODUCT: moves a finished folder to its place; where another build was faster, its is kept.
keep() {
    [[ -d $2 ]] || mv -T "$1" "$2"
    rm -rf "$1"
}
