/** This host on the suite that every host runs, native and in WebAssembly: the same files, answers and refusals. */

import { describe, test } from "node:test";

import * as native from "onnxruntime-node";
import * as wasm from "onnxruntime-web/wasm";

import { load } from "../src/index.js";
import { path, SUITE } from "./golden.js";
import { checkCard, checkCase, NATIVE, WASM } from "./suite.js";

/** @typedef {import("../src/index.js").Model} Model */
/** @typedef {import("../src/index.js").OrtModule} OrtModule */

const RUNTIMES = [
  { name: "onnxruntime-node", ort: native, rule: NATIVE },
  { name: "onnxruntime-web, on one thread", ort: wasm, rule: WASM },
];
const ANSWERED = SUITE.cases.filter((written) => written.error === undefined);

/**
 * Opens each file once, when it is first asked for.
 * @param {OrtModule} ort
 */
function opener(ort) {
  /** @type {Map<string, Promise<Model>>} */
  const models = new Map();
  return (/** @type {string} */ file) => {
    const model = models.get(file) ?? load(path(file), { ort, threads: 1 });
    models.set(file, model);
    return model;
  };
}

for (const { name, ort, rule } of RUNTIMES) {
  describe(`the suite in ${name}`, () => {
    const open = opener(ort);
    for (const entry of SUITE.models) {
      test(`the card of ${entry.file} says what the file is`, async () => checkCard(await open(entry.file), entry));
    }
    for (const written of SUITE.cases) {
      test(written.name, async () => {
        await checkCase(open, written, rule);
      });
    }
    test("all cases at once on the same models, which none has called before, get the same answers", async () => {
      const shared = opener(ort);
      await Promise.all(ANSWERED.map((written) => checkCase(shared, written, rule)));
    });
  });
}
