/** The row of a seed's images, drawn window by window. */

import { FileError, PortError } from "./errors.js";
import { Tensor } from "./tensor.js";
import { quoted } from "./text.js";

/** @typedef {import("./graph.js").Graph} Graph */
/** @typedef {import("./inputs.js").Checked} Checked */
/** @typedef {import("./inputs.js").Value} Value */

const GREATEST_INDEX = 2n ** 63n - 1n;

/**
 * The value as a whole number of at least 1.
 * @param {string} name
 * @param {Value} value
 * @param {number} [most]
 * @returns {number}
 * @throws {PortError} It is none, or too great.
 */
export function positive(name, value, most = Number.MAX_SAFE_INTEGER) {
  const single = value instanceof Tensor && value.shape.length === 0 ? value.item() : value;
  const number = typeof single === "bigint" ? Number(single) : single;
  if (!Number.isInteger(number)) {
    throw new PortError(`sample: ${name}: expected a whole number, found ${quoted(single)}`);
  }
  const whole = /** @type {number} */ (number);
  if (whole < 1) throw new PortError(`sample: ${name}: expected at least 1, found ${whole}`);
  if (whole > most) {
    throw new PortError(`sample: ${name}: expected at most ${most}, found ${whole}: draw more by first`);
  }
  return whole;
}

/**
 * Refuses a first image that is not followed by so many.
 * @param {Tensor} first
 * @param {number} count
 * @throws {PortError} The last one's index is beyond int64.
 */
export function requireIndices(first, count) {
  if (BigInt(first.item()) + BigInt(count) <= GREATEST_INDEX) return;
  throw new PortError(`sample: first + count: expected at most 2^63 - 1, found ${first.item()} + ${count}`);
}

/**
 * The inputs of one run: `count` images from `done` beyond the first. What was checked is the first run's.
 * @param {Checked} checked
 * @param {number} done
 * @param {number} count
 * @returns {Checked}
 */
export function windowOf(checked, done, count) {
  if (done === 0) return checked;
  const first = BigInt(checked.tensors.first.item()) + BigInt(done);
  return {
    tensors: { ...checked.tensors, first: scalar(first), count: scalar(BigInt(count)) },
    axes: new Map(checked.axes).set("first", Number(first)).set("count", count),
  };
}

/**
 * Refuses a sampler whose card declares anything else than images of its own size.
 * @param {Graph} sampler
 */
export function requireImages({ path, card }) {
  const { height, width, channels } = card.image;
  const { dtype, shape } = card.outputs[0];
  const expected = `uint8 [${["count", height, width, channels].join(", ")}]`;
  const found = `${dtype} [${shape.join(", ")}]`;
  if (found !== expected) throw new FileError(`${path}: expected images, ${expected}, found ${found}`);
}

/** @param {bigint} value */
function scalar(value) {
  return new Tensor([], BigInt64Array.of(value), "int64");
}

/** Lets others have a turn: messages, timers, the screen. ONNX Runtime holds the thread while it runs. */
export function breath() {
  return new Promise((resolve) => setTimeout(resolve));
}
