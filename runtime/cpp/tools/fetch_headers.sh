#!/usr/bin/env bash
# Put ONNX Runtime's C and C++ headers into FOLDER/include, from Debian's package libonnxruntime-dev.
#
#     tools/fetch_headers.sh FOLDER
#
# Only the headers are taken: the library comes from wherever the application gets it. apt is run with lists and
# caches of its own, under FOLDER, on the Debian mirror that the machine is set up with; the machine's own packages
# stay as they are. A newer suite than the machine's may be named in SUITE: headers need no other package.
set -euo pipefail

suite=${SUITE:-trixie}
folder=$(mkdir -p "$1" && cd "$1" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -e "$folder/include/onnxruntime_cxx_api.h" ]; then exit 0; fi

fail() { echo "fetch_headers.sh: $1; or unpack ONNX Runtime's release archive and set ONNXRUNTIME_ROOT to it" >&2; exit 1; }

command -v apt-get dpkg-deb > /dev/null || fail "expected apt-get and dpkg-deb, found a system without them"
[ -r "$keyring" ] || fail "expected Debian's keyring at $keyring"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 -E '/debian/?$') ||
    fail "expected a Debian mirror in apt's sources, found none"

mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
echo "deb [signed-by=$keyring] $mirror $suite main" > "$folder/apt/sources.list"
private=(
    -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" -o APT::Sandbox::User=
)
apt-get "${private[@]}" -qq update || fail "the mirror has no suite $suite"
cd "$folder/apt"
apt-get "${private[@]}" -qq download libonnxruntime-dev || fail "$suite has no package libonnxruntime-dev"
dpkg-deb -x libonnxruntime-dev_*.deb unpacked
mkdir -p "$folder/include"
find unpacked -name 'onnxruntime*.h' -exec cp {} "$folder/include" \;
rm -rf "$folder/apt"
