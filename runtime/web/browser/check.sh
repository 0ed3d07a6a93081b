#!/usr/bin/env bash
# Test the library and the demo page in Chromium, as a person with a browser would.
#
#     browser/check.sh BUILD_FOLDER
#
# GEN_EXPORT is the command under test, CHROMIUM the browser; what is missing of npm and, as root, of Debian is installed.
set -euo pipefail

mkdir -p "$1"
build=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../../..")

find_chromium() {
    command -v "${CHROMIUM:-chromium}" || command -v chromium-browser || command -v google-chrome
}

find_chromium > /dev/null || "$root/runtime/ensure.sh" "${CHROMIUM:-chromium}" chromium
if ! [ -d "$build/node_modules/playwright-core" ] || ! [ -d "$build/node_modules/onnxruntime-web" ]; then
    npm install --prefix "$build" --no-package-lock --no-save --no-audit --no-fund \
        playwright-core@1.65.1 onnxruntime-web@1.30.0
fi

CHROMIUM=$(find_chromium)
GEN_EXPORT=${GEN_EXPORT:-$root/.venv/bin/gen-export}
export CHROMIUM GEN_EXPORT BUILD=$build
node --test --test-concurrency=1 "$here"/*.test.js
