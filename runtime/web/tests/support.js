/** What several tests give to models: small inputs, and an ONNX Runtime that does as it is told. */

import * as native from "onnxruntime-node";

import { Tensor } from "../src/index.js";

const LATENTS = 6;

/**
 * Latents of a batch, the same each time.
 * @param {number} count
 */
export function latents(count) {
  return new Tensor(
    [count, LATENTS],
    Float32Array.from({ length: count * LATENTS }, (_, i) => Math.sin(i)),
  );
}

/**
 * onnxruntime-node, but for what its sessions do.
 * @param {() => Promise<any>} run
 * @returns {import("../src/index.js").OrtModule}
 */
export function runtimeThat(run) {
  const create = async (/** @type {Uint8Array} */ bytes) => {
    const { inputMetadata, outputMetadata } = await native.InferenceSession.create(bytes);
    return { inputMetadata, outputMetadata, run, release: async () => undefined };
  };
  return { ...native, InferenceSession: { create } };
}
