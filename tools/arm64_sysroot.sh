#!/usr/bin/env bash
# Unpacks Debian's packages for 64-bit ARM, those that coulis is built with or the named ones, into a folder: tools/arm64_sysroot.sh FOLDER [PACKAGE...]
# Nothing is installed and root is not needed: apt resolves and downloads in a state of its own, dpkg-deb unpacks.
# Does nothing when the folder holds them already. FOLDER/.versions names each package and its version. COULIS_SUITE=bullseye
# has apt prefer that release of Debian.
set -euo pipefail
ROOT=$(realpath -m "$1")
PACKAGES=("${@:2}")
if [ ${#PACKAGES[@]} -eq 0 ]; then
    # The libraries that ./run installs for a build; of OpenBLAS the serial one, which is linked statically.
    mapfile -t PACKAGES < <(grep -oE '\b(lib[a-z0-9.+-]+|zlib1g)-dev\b' "$(dirname "$0")/../run" |
        grep -v 'openblas\|clang' | sort -u)
    PACKAGES+=(libopenblas-serial-dev libgfortran5 libgcc-s1 libgcc-12-dev libjs-leaflet)
fi

stamp=$ROOT/.packages
wanted="${PACKAGES[*]}${COULIS_SUITE:+ of $COULIS_SUITE}"
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
rm -rf "$ROOT"
state=$ROOT/.apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status" # as if nothing were installed
apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$state"
    -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache"
    -o APT::Sandbox::User=root)
# Sources of others have nothing for this processor.
mkdir "$state/parts"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
    if grep -q 'debian\.org\|ubuntu\.com' "$list" 2>/dev/null; then cp "$list" "$state/parts/"; fi
done
if [ -n "${COULIS_SUITE:-}" ]; then
    echo "deb http://deb.debian.org/debian $COULIS_SUITE main" >"$state/parts/$COULIS_SUITE.list"
    apt+=(-t "$COULIS_SUITE")
fi
apt+=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$state/parts")
"${apt[@]}" update
"${apt[@]}" --download-only --yes --no-install-recommends install "${PACKAGES[@]}" >/dev/null
for package in "$state"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$ROOT"
    # shellcheck disable=SC2016 # dpkg-deb's own variables
    dpkg-deb --show --showformat='${Package} ${Version}\n' "$package" >>"$ROOT/.versions"
done
rm -rf "$state"
# What the packages' scripts would link, and links that lead out of the folder.
find "$ROOT" -type l -lname "/*" | while read -r link; do ln -sfn "$ROOT$(readlink "$link")" "$link"; done
echo "$wanted" >"$stamp"
