/** What an application does with the package it installed: node use.js MODEL.onnx */

import assert from "node:assert/strict";

import { DeviceError, grid, load, ppm } from "gen-runtime";

/** @type {import("gen-runtime").LoadOptions} */
const options = { threads: 1 };

try {
  const model = await load(process.argv[2], options);
  const images = await model.sample({ count: 4, seed: 7 });
  console.log(`${model.card.family}: a PPM of ${ppm(grid(images)).length} bytes`);
} catch (error) {
  assert.ok(error instanceof DeviceError);
  console.log(error.message);
}
