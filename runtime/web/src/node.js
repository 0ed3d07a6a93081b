/** What Node has: files, and onnxruntime-node. Bundlers put web.js in its place (`browser` in package.json). */

import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { FileError } from "./errors.js";
import { reason } from "./text.js";
import * as web from "./web.js";

/** @typedef {import("./session.js").OrtModule} OrtModule */
/** @typedef {import("./source.js").Place} Place */

/**
 * ONNX Runtime for Node.
 * @returns {Promise<OrtModule>}
 */
export function onnxruntime() {
  return import("onnxruntime-node");
}

/**
 * The place of a file in a folder, or behind an address.
 * @param {string | URL} source
 * @returns {Place}
 */
export function placeOf(source) {
  if (source instanceof URL && source.protocol !== "file:") return web.placeOf(source);
  const main = source instanceof URL ? fileURLToPath(source) : source;
  const name = basename(main);
  const path = (/** @type {string} */ file) => (file === name ? main : join(main, "..", file));
  return { name, path, read: (file) => readWhole(path(file)) };
}

/**
 * @param {string} path
 * @returns {Promise<Uint8Array>}
 * @throws {FileError} It is not there.
 */
async function readWhole(path) {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === "ENOENT") throw new FileError(`${path}: no such file`, { cause: error });
    if (code === "EISDIR") throw new FileError(`${path}: expected an .onnx file, found a folder`, { cause: error });
    throw new FileError(`${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
}
