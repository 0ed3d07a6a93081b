#!/usr/bin/env bash
# Compile ONNX Runtime's C# sources for Mono into FOLDER/Microsoft.ML.OnnxRuntime.dll.
#
#     tools/fetch_onnxruntime.sh FOLDER
#
# For the tests alone: an application takes the compiled package from NuGet. The sources (MIT) are those in the npm
# package com.github.asus4.onnxruntime, fetched once from the registry that npm is set up with.
set -euo pipefail

package=com.github.asus4.onnxruntime
version=0.4.9
tools=$(dirname "$(realpath "$0")")
mkdir -p "$1"
cd "$1"
if [ -e Microsoft.ML.OnnxRuntime.dll ]; then exit 0; fi

fail() { echo "fetch_onnxruntime.sh: $1" >&2; exit 1; }

if [ ! -e "$package-$version.tgz" ]; then
    command -v npm > /dev/null || fail "expected npm, found none: install it, or put $package-$version.tgz into $PWD"
    mkdir -p fetched
    npm pack --silent --pack-destination fetched "$package@$version" > /dev/null || fail "npm cannot fetch $package $version"
    mv "fetched/$package-$version.tgz" .
fi
tar -xzf "$package-$version.tgz" package/Runtime
rm -rf sources
python3 "$tools/down_level.py" package/Runtime sources
mcs -nologo -langversion:experimental -unsafe -optimize -warn:0 -define:NETSTANDARD2_0 -target:library \
    -out:Microsoft.ML.OnnxRuntime.draft sources/*.cs
mv Microsoft.ML.OnnxRuntime.draft Microsoft.ML.OnnxRuntime.dll
