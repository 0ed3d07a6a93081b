/** Models beyond the suite: batches, progress, ending early, parts, one run at a time, and that nothing is kept. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import * as native from "onnxruntime-node";
import * as wasm from "onnxruntime-web/wasm";

import { load, Tensor } from "../src/index.js";
import { path } from "./golden.js";
import { latents, runtimeThat } from "./support.js";

const RUNTIMES = /** @type {const} */ ([
  ["onnxruntime-node", native],
  ["onnxruntime-web", wasm],
]);

/** What the garbage collector frees, freed now. */
function collectGarbage() {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

describe("a model", () => {
  /** @type {import("../src/index.js").Model} */
  let model;
  beforeEach(async () => {
    model = await load(path("vae"), { threads: 1 });
  });
  afterEach(() => model.dispose());

  test("draws the same images in batches of any size", async () => {
    const whole = await model.sample({ count: 5, seed: 3 });
    assert.equal(whole.count, 5);
    for (const batch of [1, 2, 5, 64]) assert.deepEqual(await model.sample({ count: 5, seed: 3 }, { batch }), whole);
  });

  test("draws an image by its index, of all int64 ones", async () => {
    const fourth = (await model.sample({ count: 4, seed: 3 })).at(3);
    assert.deepEqual(await model.sample({ seed: 3, first: 3 }), fourth);
    assert.deepEqual(await model.sample({ seed: 3n, first: 3n }), fourth);
    assert.equal((await model.sample({ count: 2, first: 2n ** 63n - 3n }, { batch: 1 })).count, 2);
  });

  test("draws one image of seed 0 where nothing is said", async () => {
    assert.deepEqual(await model.sample(), await model.sample({ count: 1, seed: 0, first: 0 }));
  });

  test("says after each batch how many images are done", async () => {
    /** @type {number[][]} */
    const seen = [];
    await model.sample({ count: 5 }, { batch: 2, progress: (...numbers) => seen.push(numbers) });
    assert.deepEqual(seen, [
      [2, 5],
      [4, 5],
      [5, 5],
    ]);
  });

  test("gives many calls at once what it gives one after another", async () => {
    const seeds = Array.from({ length: 16 }, (_, seed) => seed);
    const inTurn = [];
    for (const seed of seeds) inTurn.push(await model.sample({ count: 3, seed }, { batch: 2 }));
    assert.deepEqual(await Promise.all(seeds.map((seed) => model.sample({ count: 3, seed }, { batch: 2 }))), inTurn);
  });

  test("calls graphs by name, in the order of the inputs, and by the names that most families have", async () => {
    const { image } = await model.decode(latents(2));
    assert.deepEqual((await model.run("decode", { z: latents(2) })).image, image);
    assert.deepEqual((await model.call("decode", latents(2))).image, image);
    assert.deepEqual(Object.keys(await model.encode(image)), ["mu", "logvar"]);
    assert.deepEqual(Object.keys(await model.reconstruct(image)), ["reconstruction"]);
    await assert.rejects(model.decode(latents(1), latents(1)), {
      name: "PortError",
      message: "decode takes 1 inputs, found 2",
    });
  });

  test("opens a part once, and its card says what it takes", async () => {
    const [one, other] = await Promise.all([model.graph("decode"), model.graph("decode")]);
    assert.equal(one, other);
    assert.deepEqual(
      one.card.inputs.map((port) => port.name),
      ["z"],
    );
  });

  for (const [inputs, options, says] of /** @type {[{}, {}, string][]} */ ([
    [{ count: 1.5 }, {}, "sample: count: expected a whole number, found 1.5"],
    [{ count: "2" }, {}, "sample: count: expected a whole number, found '2'"],
    [{ count: 2 ** 32 }, {}, "sample: count: expected at most 67108864, found 4294967296: draw more by first"],
    [{}, { batch: 0 }, "sample: batch: expected at least 1, found 0"],
    [{ colour: 1 }, {}, "sample has no input 'colour': it takes seed, count, first"],
  ])) {
    test(`refuses ${JSON.stringify({ ...inputs, ...options })}`, async () => {
      await assert.rejects(model.sample(inputs, options), { name: "PortError", message: says });
    });
  }

  test("is of no use once it is disposed, and what waits is done before", async () => {
    const drawing = model.sample({ count: 2 });
    await model.graph("sample");
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    assert.equal((await drawing).count, 2);
    await assert.rejects(model.sample(), { name: "GenRuntimeError", message: `${path("vae")}: the model is disposed` });
  });
});

for (const [name, ort] of RUNTIMES) {
  test(`drawing in ${name} stops between two batches when it is told to`, async () => {
    const model = await load(path("vae"), { ort, threads: 1 });
    const control = new AbortController();
    let done = 0;
    const drawing = model.sample({ count: 9 }, { batch: 1, signal: control.signal, progress: (now) => (done = now) });
    setTimeout(() => control.abort(), 0);
    await assert.rejects(drawing, { name: "AbortError" });
    assert.ok(done < 9, `${done}`);
    await assert.rejects(model.sample({}, { signal: AbortSignal.abort() }), { name: "AbortError" });
    await model.dispose();
  });
}

test("ONNX Runtime does one thing at a time, as it must where it waits for a GPU", async () => {
  let working = 0;
  const image = new native.Tensor("float32", new Float32Array(64), [1, 1, 8, 8]);
  const ort = runtimeThat(async () => {
    assert.equal(++working, 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    working -= 1;
    return { image };
  });
  const model = await load(path("vae.decode"), { ort });
  await Promise.all([1, 2, 3].map(() => model.decode(latents(1))));
});

for (const [name, ort] of RUNTIMES) {
  test(`the memory of ${name} stays flat over 1,000 calls`, async () => {
    const most = 8 * 2 ** 20; // bytes; if each call kept the 64 KiB that it gives it would be 62 MiB
    const model = await load(path("broken/whole"), { ort, threads: 1 });
    const x = new Tensor([2 ** 13, 2], new Float32Array(2 ** 14));
    const grownTo = async (/** @type {number} */ calls) => {
      for (let call = 0; call < calls; call++) await model.call("double", x);
      collectGarbage();
      return process.memoryUsage().rss;
    };
    const before = await grownTo(200);
    const grown = (await grownTo(1000)) - before;
    assert.ok(grown < most, `${Math.round(grown / 1024)} KiB more`);
    await model.dispose();
  });
}
