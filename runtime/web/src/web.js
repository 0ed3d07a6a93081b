/** What a page or a worker has: files behind addresses, and onnxruntime-web. */

import { FileError } from "./errors.js";
import { reason } from "./text.js";

/** @typedef {import("./session.js").OrtModule} OrtModule */
/** @typedef {import("./source.js").Place} Place */

/**
 * ONNX Runtime for pages.
 * @returns {Promise<OrtModule>}
 */
export function onnxruntime() {
  return import("onnxruntime-web");
}

/**
 * The place of a file behind an address, relative to the page or worker.
 * @param {string | URL} address
 * @returns {Place}
 */
export function placeOf(address) {
  const main = new URL(address, globalThis.document?.baseURI ?? globalThis.location?.href);
  const besides = (/** @type {string} */ file) => {
    const url = new URL(main); // keeps what stands behind the path, as a signed address needs it
    url.pathname = main.pathname.replace(/[^/]*$/, () => file);
    return url;
  };
  return {
    name: main.pathname.slice(main.pathname.lastIndexOf("/") + 1), // percent-encoded, as it may be no UTF-8
    path: (file) => besides(file).href,
    read: (file) => fetched(besides(file)),
  };
}

/**
 * @param {URL} url
 * @throws {FileError} It is not there.
 */
async function fetched(url) {
  const response = await fetch(url).catch((error) => {
    throw new FileError(`${url}: cannot be read: ${reason(error)}`, { cause: error });
  });
  if (response.status === 404) throw new FileError(`${url}: no such file`);
  if (!response.ok) throw new FileError(`${url}: cannot be read: the server says ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
