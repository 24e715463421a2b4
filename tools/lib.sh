# lib.sh: what the commands of tools/ share. Sourced by bash with `set -euo pipefail` on; sets source.
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s: %s\n' "$me" "$*"; }
die() {
    printf '%s: %s\n' "$me" "$*" >&2
    exit 1
}

# The package names of these lists (packages-NAME).
packages_of() {
    local list
    for list; do sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$source/tools/packages-$list"; done | sort -u
}

missing_packages() {
    local package provided
    # Some packages bring what others are for: a nodejs from elsewhere has npm in it, and refuses Debian's.
    provided=" $(dpkg-query -W -f '${db:Status-Abbrev} ${Provides}\n' | sed -n 's/^ii *//; s/([^)]*)//g; s/,/ /gp' | tr '\n' ' ') "
    for package in $(packages_of "$@"); do
        # Any architecture's will do; "ii" alone is whole.
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}\n' "$package" 2>/dev/null) == *ii* || $provided == *" $package "* ]] ||
            echo "$package"
    done
}

# Install what is missing of these lists, and only that. None of these packages starts a service or adds a user.
install_packages() {
    local missing as_root=()
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
        die "needs Debian 12: its packages come from apt (tools/packages-* lists them)"
    missing=$(missing_packages "$@" | tr '\n' ' ')
    missing=${missing% }
    if [ -z "$missing" ]; then
        say "packages: all are there"
        return 0
    fi
    say "packages to install: $missing"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            die "not root, and no sudo here. As root: apt-get install --no-install-recommends $missing"
        as_root=(sudo)
        # Without a terminal nobody could type a password.
        [ -t 0 ] || sudo -n true 2>/dev/null ||
            die "sudo wants a password and there is no terminal. As root: apt-get install --no-install-recommends $missing"
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    "${as_root[@]}" -qq update || say "apt-get update had errors; trying with the lists there are"
    # shellcheck disable=SC2086
    "${as_root[@]}" -y -qq --no-install-recommends install $missing >"$log_dir/apt.log" 2>&1 </dev/null || {
        tail -n 20 "$log_dir/apt.log" >&2
        die "apt-get could not install them; its output is in $log_dir/apt.log"
    }
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -z "$missing" ] || die "still not installed: $missing"
}

# build PRESET FOLDER TARGET [CMAKE-OPTION...]: configure and build; quiet unless it fails.
build() {
    local preset=$1 folder=$2 target=$3 generator=()
    shift 3
    # A folder that was configured before keeps its generator.
    [ -e "$folder/CMakeCache.txt" ] || generator=(-G Ninja)
    say "building preset $preset in ${folder#"$source"/}"
    mkdir -p "$folder"
    (cd "$source" && cmake --preset "$preset" -B "$folder" ${generator[@]+"${generator[@]}"} "$@") >"$folder/configure.log" 2>&1 || {
        tail -n 30 "$folder/configure.log" >&2
        die "cmake failed; the whole of its output is in $folder/configure.log"
    }
    cmake --build "$folder" --target "$target" -j "$(nproc)" >"$folder/build.log" 2>&1 || {
        grep -E -A 5 'error|FAILED|warning' "$folder/build.log" | head -n 60 >&2 || true
        die "the build failed; the whole of its output is in $folder/build.log"
    }
}

log_dir=$source/build
mkdir -p "$log_dir" 2>/dev/null && [ -w "$log_dir" ] || die "cannot write to $log_dir"
