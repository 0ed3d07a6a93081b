/** Where a model's files are: a folder-like place, whatever it is made of. */

import { DeviceError, FileError } from "./errors.js";
import { quoted, reason } from "./text.js";

/** @typedef {import("./session.js").OrtModule} OrtModule */

/**
 * A folder-like thing: files that were dropped on a page, an archive, a cache.
 * @typedef {object} Source
 * @property {string} name The main file's name, `vae.onnx`.
 * @property {(file: string) => Promise<Uint8Array>} read Reads it, or a part beside it; rejects where there is none.
 */

/** @typedef {Source & { path(file: string): string }} Place A source, and its files' names for messages. */

/** What there is of files and of ONNX Runtime where this runs. */
const platform = () => (isNode() ? import("./node.js") : import("./web.js"));

function isNode() {
  return typeof process === "object" && typeof process.versions?.node === "string";
}

/**
 * The place of what a caller gave.
 * @param {string | URL | Source} source
 * @returns {Promise<Place>}
 */
export async function placeOf(source) {
  if (typeof source === "string" || source instanceof URL) return (await platform()).placeOf(source);
  return { name: source.name, path: (file) => file, read: (file) => read(source, file) };
}

/**
 * ONNX Runtime for where this runs.
 * @returns {Promise<OrtModule>}
 * @throws {DeviceError} It is not installed.
 */
export async function importOnnxruntime() {
  const name = isNode() ? "onnxruntime-node" : "onnxruntime-web";
  return (await platform()).onnxruntime().catch((error) => {
    throw new DeviceError(`${name} is not there: npm install it, or give load the module as ort`, { cause: error });
  });
}

/**
 * The file of a part: `<name>.<graph>.onnx` beside `<name>.onnx`.
 * @param {string} main
 * @param {string} graph
 */
export function partFile(main, graph) {
  return `${main.replace(/\.onnx$/, "")}.${graph}.onnx`;
}

/**
 * @param {Source} source
 * @param {string} file
 */
async function read(source, file) {
  const bytes = await readBy(source, file);
  if (bytes instanceof Uint8Array) return bytes;
  throw new FileError(`${file}: expected a Uint8Array, found ${quoted(bytes)}`);
}

/**
 * @param {Source} source
 * @param {string} file
 */
async function readBy(source, file) {
  try {
    return await source.read(file);
  } catch (error) {
    throw new FileError(`${file}: cannot be read: ${reason(error)}`, { cause: error });
  }
}
