#!/usr/bin/env bash
# Type-check and test the JavaScript host, pack it, and use the package as an application does.
#
#     tools/check.sh BUILD_FOLDER
#
# Needs Node 20 or newer with npm.
set -euo pipefail

mkdir -p "$1"
build=$(realpath "$1")
source=$(dirname "$(dirname "$(realpath "$0")")")
golden=$source/../../models_onnx/golden
cd "$source"
"$source/../ensure.sh" "node npm" nodejs npm

install() { npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error "$@"; }

if [ ! node_modules/.package-lock.json -nt package.json ]; then
    install # without scripts: onnxruntime-node's would fetch libraries for GPUs
fi
npm run --silent check
npm run --silent test
npm pack --silent --pack-destination "$build"

rm -rf "$build/application"
mkdir "$build/application"
cd "$build/application"
echo '{ "type": "module" }' > package.json
install "$build"/gen-runtime-*.tgz
cp "$source/tests/package/use.js" .
node use.js "$golden/vae.onnx" | grep -q "onnxruntime-node is not there"
ln -s "$source"/node_modules/{onnxruntime-node,@types} node_modules
node use.js "$golden/vae.onnx"
"$source/node_modules/.bin/tsc" --checkJs --strict --noEmit --module nodenext --target es2022 --types node use.js
