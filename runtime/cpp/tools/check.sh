#!/usr/bin/env bash
# Build and test the C++ host with one ONNX Runtime library: as applications build it, then with sanitizers.
#
#     tools/check.sh LIBRARY BUILD_FOLDER
#
# The headers are those of ONNXRUNTIME_ROOT, or else of Debian's package; the compiler is installed on Debian if missing.
set -euo pipefail

library=$(realpath "$1")
build=$2
source=$(dirname "$(dirname "$(realpath "$0")")")
"$source/../ensure.sh" "cmake make c++" cmake make g++
if [ -z "${ONNXRUNTIME_ROOT:-}" ]; then
    ONNXRUNTIME_ROOT=$(realpath -m "$build/onnxruntime")
    "$source/tools/fetch_headers.sh" "$ONNXRUNTIME_ROOT"
fi

check() {
    local folder=$build/$1
    shift
    cmake -S "$source" -B "$folder" -DONNXRUNTIME_ROOT="$ONNXRUNTIME_ROOT" -DGEN_RUNTIME_TEST_LIBRARY="$library" "$@"
    cmake --build "$folder" --parallel 2
    ctest --test-dir "$folder" --output-on-failure
}

check release -DGEN_RUNTIME_BUILD_BENCH=ON
check sanitized -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGEN_RUNTIME_SANITIZE=ON -DGEN_RUNTIME_CYCLES=1000
