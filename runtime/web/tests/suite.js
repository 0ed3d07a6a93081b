/**
 * The suite that every host runs (models_onnx/golden): its values, and when an answer is the expected one.
 *
 * Nothing here is of Node, so that a page runs it too.
 */

import { FileError, GraphError, PortError, Tensor } from "../src/index.js";

/** @typedef {import("../src/index.js").DType} DType */
/** @typedef {import("../src/index.js").Model} Model */
/** @typedef {import("../src/index.js").Value} Value */
/** @typedef {import("../src/index.js").Tensors} Tensors */

/** @typedef {{ dtype: DType, shape: number[], values: (number | string | boolean)[] }} Listed */
/** @typedef {{ dtype: DType, shape: number[], seed: number, low: number, high: number }} Drawn */
/** @typedef {Listed | Drawn} Written */
/** @typedef {{ choice: string } | Written} WrittenInput */
/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} file
 * @property {string} graph
 * @property {Record<string, WrittenInput>} inputs
 * @property {Record<string, Written>} [outputs]
 * @property {number} [batch]
 * @property {number} [tolerance]
 * @property {"file" | "graph" | "port"} [error]
 * @property {string} [says]
 */
/** @typedef {{ file: string, family: string, image: Record<string, number>, graphs: string[] }} ModelEntry */
/** @typedef {{ models: ModelEntry[], cases: Case[] }} Suite golden.json */

/**
 * How far apart images may be.
 * @typedef {object} PixelRule
 * @property {number} levels At most so many grey levels a byte,
 * @property {number} share and in at most this share of an image's bytes.
 */

/** @type {PixelRule} */
export const NATIVE = { levels: 0, share: 0 };
/** @type {PixelRule} */
export const WASM = { levels: 1, share: 0.001 };

const MASK = 2n ** 64n - 1n;
const ERRORS = { file: FileError, graph: GraphError, port: PortError };

/**
 * What the suite wrote: a tensor, or the name of a choice.
 * @param {WrittenInput} value
 * @returns {Value}
 */
export function valueOf(value) {
  return "choice" in value ? value.choice : tensorOf(value);
}

/**
 * The tensor that the suite wrote.
 * @param {Written} value
 */
export function tensorOf(value) {
  const { dtype, shape } = value;
  const values = "seed" in value ? drawn(value) : value.values;
  if (dtype === "int64") return new Tensor(shape, BigInt64Array.from(values.map(BigInt)));
  const ArrayType = {
    bool: Uint8Array,
    uint8: Uint8Array,
    int32: Int32Array,
    float32: Float32Array,
    float64: Float64Array,
  }[dtype];
  return new Tensor(shape, ArrayType.from(values.map(Number)), dtype);
}

/**
 * Runs a case and refuses another answer, or another refusal, than the suite's.
 * @param {(file: string) => Promise<Model>} open Opens a main file by its name in the suite.
 * @param {Case} written
 * @param {PixelRule} rule
 * @returns {Promise<number>} How far apart floats are at most, relative to max(1, |expected|).
 * @throws {Error} The case fails.
 */
export async function checkCase(open, written, rule) {
  if (written.error !== undefined) return checkRefusal(open, written);
  const found = await call(await open(written.file), written);
  const expected = Object.entries(written.outputs ?? {});
  require(String(Object.keys(found)) === String(expected.map(([name]) => name)), `outputs ${Object.keys(found)}`);
  const apart = expected.map(([name, value]) =>
    checkTensor(name, found[name], tensorOf(value), written.tolerance ?? 0, rule),
  );
  return Math.max(...apart);
}

/**
 * Refuses a model whose card says something else than the suite.
 * @param {Model} model
 * @param {ModelEntry} entry
 */
export function checkCard(model, { family, image, graphs }) {
  const { height, width, channels } = model.card.image;
  require(model.card.family === family, `family ${model.card.family}`);
  require(String(model.graphs) === String(graphs), `graphs ${model.graphs}`);
  require(String([height, width, channels]) === String([image.height, image.width, image.channels]), "another image");
}

/**
 * @param {Model} model
 * @param {Case} written
 * @returns {Promise<Tensors>}
 */
async function call(model, { graph, inputs, batch }) {
  const values = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, valueOf(value)]));
  if (batch === undefined) return model.run(graph ?? model.card.graph, values);
  const { count, height, width, channels, data } = await model.sample(values, { batch });
  return { images: new Tensor([count, height, width, channels], data) };
}

/**
 * @param {(file: string) => Promise<Model>} open
 * @param {Case} written
 */
async function checkRefusal(open, written) {
  const error = await open(written.file)
    .then((model) => call(model, written))
    .then(
      () => require(false, "nothing was refused"),
      (/** @type {Error} */ failure) => failure,
    );
  const Expected = ERRORS[/** @type {"file"} */ (written.error)];
  require(error instanceof Expected, `${error}`);
  require(error.message.includes(written.says ?? "") && !error.message.includes("\n"), error.message);
  return 0;
}

/**
 * @param {string} name
 * @param {Tensor} found
 * @param {Tensor} expected
 * @param {number} tolerance
 * @param {PixelRule} rule
 * @returns {number} How far apart floats are at most.
 */
function checkTensor(name, found, expected, tolerance, rule) {
  require(found.dtype === expected.dtype &&
    String(found.shape) === String(expected.shape), `${name}: another type or shape`);
  const pairs = [...expected.data].map((value, index) => /** @type {const} */ ([found.data[index], value]));
  if (/^float/.test(found.dtype)) {
    const apart = Math.max(
      ...pairs.map(([a, b]) => Math.abs(Number(a) - Number(b)) / Math.max(1, Math.abs(Number(b)))),
    );
    require(apart <= tolerance, `${name}: ${apart} apart, at most ${tolerance}`);
    return apart;
  }
  const off = pairs.filter(([a, b]) => a !== b);
  const levels = Math.max(0, ...off.map(([a, b]) => Math.abs(Number(a) - Number(b))));
  const allowed = name === "images" ? rule : NATIVE;
  const words = `${name}: ${off.length} of ${pairs.length} values are wrong, by up to ${levels}`;
  require(levels <= allowed.levels && off.length <= allowed.share * pairs.length, words);
  return 0;
}

/**
 * Numbers between two whole ones that every language draws alike.
 * @param {Drawn} value
 */
function drawn({ dtype, shape, seed, low, high }) {
  const size = shape.reduce((product, axis) => product * axis, 1);
  const units = Array.from({ length: size }, (_, index) => Number(splitmix64(BigInt(seed + index)) >> 40n) / 2 ** 24);
  return units.map((u) => (/^float/.test(dtype) ? low + (high - low) * u : low + Math.floor((high - low + 1) * u)));
}

/** @param {bigint} x */
function splitmix64(x) {
  let z = (x + 0x9e3779b97f4a7c15n) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/**
 * @param {boolean} condition
 * @param {string} words
 * @returns {asserts condition}
 */
function require(condition, words) {
  if (!condition) throw new Error(words);
}
