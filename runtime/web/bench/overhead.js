/**
 * What this package adds to a bare call of onnxruntime-node: node bench/overhead.js [--rounds 1000] FILE.onnx..
 *
 * One image of a sampler, or any other graph at batch 1, is run in turns through a model and through a session of its
 * own with values that are made once; the figures are medians of wall-clock microseconds.
 */

import { basename } from "node:path";
import { parseArgs } from "node:util";

import * as ort from "onnxruntime-node";

import { load, Tensor } from "../src/index.js";
import { ARRAYS, sizeOf } from "../src/tensor.js";

/** @typedef {import("../src/index.js").Card} Card */
/** @typedef {import("../src/index.js").Port} Port */

const WARM_UP = 20; // the first runs allocate

/**
 * Zeros, or the least values that are allowed, of one image.
 * @param {Port} port
 */
function smallest({ shape, dtype, minimum }) {
  const sizes = shape.map((axis) => (typeof axis === "number" ? axis : 1));
  const least = Math.max(0, minimum ?? 0);
  const values = new Array(sizeOf(sizes)).fill(least);
  const data = dtype === "int64" ? BigInt64Array.from(values.map(BigInt)) : ARRAYS[dtype].from(values);
  return new Tensor(sizes, data, dtype);
}

/** @param {Card} card */
function smallestInputs({ inputs }) {
  return Object.fromEntries(inputs.filter((port) => !port.optional).map((port) => [port.name, smallest(port)]));
}

/**
 * The call without this package.
 * @param {string} path
 * @param {Record<string, Tensor>} inputs
 */
async function bareCall(path, inputs) {
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1 });
  const values = Object.entries(inputs).map(([name, { dtype, data, shape }]) => [
    name,
    new ort.Tensor(dtype, data, shape),
  ]);
  const feeds = Object.fromEntries(values);
  return () => session.run(feeds);
}

/** @param {() => Promise<unknown>} call */
async function microseconds(call) {
  const start = performance.now();
  await call();
  return 1000 * (performance.now() - start);
}

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * The medians of both calls; each is the first in every other round.
 * @param {number} rounds
 * @param {() => Promise<unknown>} ours
 * @param {() => Promise<unknown>} bare
 */
async function compared(rounds, ours, bare) {
  /** @type {Map<() => Promise<unknown>, number[]>} */
  const times = new Map([ours, bare].map((call) => [call, []]));
  for (let round = 0; round < WARM_UP + rounds; round++) {
    for (const call of round % 2 === 0 ? [ours, bare] : [bare, ours]) times.get(call)?.push(await microseconds(call));
  }
  return [...times.values()].map((all) => median(all.slice(WARM_UP)));
}

/**
 * @param {string} path
 * @param {number} rounds
 */
async function report(path, rounds) {
  const model = await load(path, { threads: 1 });
  const { graph } = model.card;
  const inputs = smallestInputs(model.card);
  const call = graph === "sample" ? () => model.sample() : () => model.run(graph, inputs);
  const [ours, bare] = await compared(rounds, call, await bareCall(path, inputs));
  const more = `${(ours - bare).toFixed(1)} us or ${(100 * (ours / bare - 1)).toFixed(1)} %`;
  console.log(`${basename(path)}: ${ours.toFixed(0)} us, bare ${bare.toFixed(0)} us: ${more} more`);
}

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "1000" } },
  allowPositionals: true,
});
for (const path of positionals) await report(path, Number(values.rounds));
