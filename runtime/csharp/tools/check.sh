#!/usr/bin/env bash
# Build and test the C# host on Mono with one ONNX Runtime library.
#
#     tools/check.sh LIBRARY BUILD_FOLDER
#
# Needs npm and python3, and Mono's compiler and runtime, which are installed on Debian. The library is the native one,
# libonnxruntime.so.*.
set -euo pipefail

library=$(realpath "$1")
build=$(realpath -m "$2")
source=$(dirname "$(dirname "$(realpath "$0")")")
suite=$(realpath "$source/../../models_onnx/golden")

"$source/../ensure.sh" "mcs mono" mono-mcs mono-runtime libmono-system-core4.0-cil
"$source/tools/fetch_onnxruntime.sh" "$build/onnxruntime"
mkdir -p "$build/native" "$build/work"
ln -sf "$library" "$build/native/libonnxruntime.so"
cp "$build/onnxruntime/Microsoft.ML.OnnxRuntime.dll" "$build"
cd "$build"

compile() {
    mcs -nologo -langversion:7.2 -optimize -warn:4 -warnaserror "$@"
}

compile -r:Microsoft.ML.OnnxRuntime.dll -target:library -doc:GenRuntime.xml -out:GenRuntime.dll "$source"/src/*.cs
compile -r:GenRuntime.dll -out:GenSample.exe "$source"/examples/GenSample/*.cs
compile -r:GenRuntime.dll -out:GenTests.exe "$source"/tests/*.cs
compile -r:GenRuntime.dll -r:Microsoft.ML.OnnxRuntime.dll -out:Overhead.exe "$source"/bench/*.cs
LD_LIBRARY_PATH=$build/native mono GenTests.exe "$suite" "$build/work" GenSample.exe
LD_LIBRARY_PATH=$build/native mono Overhead.exe "$suite/gan.onnx"
