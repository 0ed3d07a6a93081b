/** The suite's folder, in Node. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** @typedef {import("./suite.js").Suite} Suite */

/** The folder of the suite's files. */
export const FOLDER = fileURLToPath(new URL("../../../models_onnx/golden/", import.meta.url));

/** @type {Suite} */
export const SUITE = JSON.parse(readFileSync(`${FOLDER}golden.json`, "utf8"));

/**
 * The path of a file of the suite.
 * @param {string} name Without `.onnx`.
 */
export function path(name) {
  return `${FOLDER}${name}.onnx`;
}

/**
 * The bytes of a file of the suite.
 * @param {string} name Without `.onnx`.
 */
export function bytesOf(name) {
  return new Uint8Array(readFileSync(path(name)));
}
