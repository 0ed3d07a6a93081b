/** A caller's values as the tensors that a graph's ports declare, or a refusal by name. */

import { PortError } from "./errors.js";
import { fits, shapeText } from "./ports.js";
import { ARRAYS, Tensor } from "./tensor.js";
import { numberText, quoted } from "./text.js";

/** @typedef {import("./ports.js").Port} Port */
/** @typedef {import("./tensor.js").DType} DType */
/** @typedef {import("./tensor.js").TypedArray} TypedArray */
/** @typedef {Record<string, Tensor>} Tensors */
/** @typedef {number | bigint | string | boolean | Tensor} Value A tensor, a single value, or the name of a choice. */

/**
 * What was given, by name, and the sizes of free axes.
 * @typedef {{ readonly tensors: Tensors, readonly axes: ReadonlyMap<string, number> }} Checked
 */

/** The least and greatest value of each dtype of whole numbers. */
const BOUNDS = new Map(
  /** @type {[DType, [bigint, bigint]][]} */ ([
    ["uint8", [0n, 255n]],
    ["int32", [-(2n ** 31n), 2n ** 31n - 1n]],
    ["int64", [-(2n ** 63n), 2n ** 63n - 1n]],
  ]),
);

/**
 * Every given value as a tensor of its port's dtype, shape and range. What is `undefined` is left out.
 *
 * Whole numbers go to ports of whole numbers that hold them, floats to ports of floats, where nothing is lost but
 * float64's extra digits. A single `number` goes to either, a single `bigint` also to a float port that holds it
 * exactly.
 *
 * @param {string} graph The graph's name, for messages.
 * @param {readonly Port[]} ports
 * @param {Readonly<Record<string, Value | undefined>>} values
 * @returns {Checked}
 * @throws {PortError} A name is unknown, a required input is missing, or a value is not what its port says.
 */
export function checkInputs(graph, ports, values) {
  const names = Object.keys(values).filter((name) => values[name] !== undefined);
  const given = ports.filter((port) => names.includes(port.name));
  if (given.length < names.length) requireKnown(graph, ports, names);
  if (given.length < ports.length) requireAll(graph, ports, given);
  /** @type {Tensors} */
  const tensors = {};
  for (const port of given) tensors[port.name] = tensorOf(graph, port, values[port.name]);
  return { tensors, axes: freeAxes(graph, given, tensors) };
}

/**
 * The size of each free axis: from the tensors that have it, or a whole scalar input of its name.
 * @param {string} graph
 * @param {readonly Port[]} ports
 * @param {Tensors} tensors
 * @returns {Map<string, number>}
 * @throws {PortError} A tensor has another shape than its port, or two disagree on a free axis.
 */
function freeAxes(graph, ports, tensors) {
  const axes = new Map();
  for (const { name } of ports) {
    const { dtype, shape, data } = tensors[name];
    if (shape.length === 0 && dtype.startsWith("int")) axes.set(name, Number(data[0]));
  }
  for (const port of ports) {
    const { shape } = tensors[port.name];
    if (fits(port, shape, axes)) continue;
    throw new PortError(`${graph}: ${port.name}: expected shape ${shapeText(port, axes)}, found [${shape.join(", ")}]`);
  }
  return axes;
}

/**
 * @param {string} graph
 * @param {readonly Port[]} ports
 * @param {readonly string[]} names
 */
function requireKnown(graph, ports, names) {
  const other = names.find((name) => !ports.some((port) => port.name === name));
  if (other === undefined) return;
  throw new PortError(
    `${graph} has no input '${other}': it takes ${ports.map((port) => port.name).join(", ") || "none"}`,
  );
}

/**
 * @param {string} graph
 * @param {readonly Port[]} ports
 * @param {readonly Port[]} given
 */
function requireAll(graph, ports, given) {
  const missing = ports.filter((port) => !port.optional && !given.includes(port));
  if (missing.length > 0) throw new PortError(`${graph} needs ${missing.map((port) => port.name).join(", ")}`);
}

/**
 * The value as a tensor of the port's dtype, finite and within its range.
 * @param {string} graph
 * @param {Port} port
 * @param {unknown} value
 */
function tensorOf(graph, port, value) {
  const label = `${graph}: ${port.name}`;
  const number = typeof value === "string" && port.choices.length > 0 ? numberOf(label, port, value) : value;
  const tensor = number instanceof Tensor ? converted(number, port.dtype) : scalar(number, port.dtype);
  if (tensor === undefined) throw new PortError(`${label}: expected ${port.dtype}, found ${foundText(number)}`);
  checkValues(label, port, tensor);
  return tensor;
}

/**
 * The number of a choice.
 * @param {string} label
 * @param {Port} port
 * @param {string} name
 */
function numberOf(label, port, name) {
  const number = port.choices.indexOf(name);
  if (number < 0) throw new PortError(`${label}: expected one of ${port.choices.join(", ")}, found ${quoted(name)}`);
  return number;
}

/**
 * One value as a tensor; nothing where the dtype does not hold it.
 * @param {unknown} value
 * @param {DType} dtype
 * @returns {Tensor | undefined}
 */
function scalar(value, dtype) {
  if (typeof value === "boolean") return converted(new Tensor([], Uint8Array.of(Number(value)), "bool"), dtype);
  if (typeof value === "number" && isFloat(dtype)) {
    return converted(new Tensor([], Float64Array.of(value), "float64"), dtype);
  }
  if (typeof value !== "bigint" && !Number.isSafeInteger(value)) return undefined;
  const whole = BigInt(/** @type {number | bigint} */ (value));
  return isWithin(whole, "int64") ? converted(new Tensor([], BigInt64Array.of(whole), "int64"), dtype) : undefined;
}

/**
 * The tensor in another dtype, its values kept up to float64's extra digits; nothing where they are not.
 *
 * Beyond float32 a number becomes infinite, which is refused later.
 * @param {Tensor} tensor
 * @param {DType} dtype
 * @returns {Tensor | undefined}
 */
function converted(tensor, dtype) {
  const { dtype: from, shape, data } = tensor;
  if (from === dtype) return tensor;
  if (from === "bool" || dtype === "bool") return undefined;
  const values = [.../** @type {Iterable<number | bigint>} */ (data)];
  if (isFloat(dtype)) {
    const keeps = isFloat(from) || (shape.length === 0 && isExact(values[0], dtype));
    return keeps ? new Tensor(shape, ARRAYS[dtype].from(values.map(Number))) : undefined;
  }
  if (isFloat(from) || !values.every((value) => isWithin(value, dtype))) return undefined;
  if (dtype === "int64") return new Tensor(shape, BigInt64Array.from(values.map(BigInt)));
  return new Tensor(shape, ARRAYS[dtype].from(values.map(Number)));
}

/** @param {DType} dtype */
function isFloat(dtype) {
  return dtype === "float32" || dtype === "float64";
}

/**
 * Whether a dtype of whole numbers holds this one.
 * @param {number | bigint} value
 * @param {DType} dtype
 */
function isWithin(value, dtype) {
  const [least, greatest] = BOUNDS.get(dtype) ?? [];
  return least !== undefined && greatest !== undefined && least <= value && value <= greatest;
}

/**
 * Whether a dtype of floats holds this whole number.
 * @param {number | bigint} whole
 * @param {"float32" | "float64"} dtype
 */
function isExact(whole, dtype) {
  return BigInt(ARRAYS[dtype].of(Number(whole))[0]) === BigInt(whole);
}

/**
 * Refuses values that are not finite, no bools, or outside the port's range. No values are refused for their shape.
 * @param {string} label
 * @param {Port} port
 * @param {Tensor} tensor
 */
function checkValues(label, port, { data }) {
  if (isFloat(port.dtype) && !data.every(Number.isFinite)) {
    throw new PortError(`${label}: expected finite ${port.dtype} values, found NaN or infinity`);
  }
  const isBool = port.dtype === "bool";
  const { minimum, maximum } = isBool ? { minimum: 0, maximum: 1 } : port;
  if (minimum === null && maximum === null) return;
  const [least, greatest] = extremes(data);
  if (minimum !== null && least < minimum) {
    throw new PortError(`${label}: expected at least ${numberText(minimum)}, found ${numberText(least)}`);
  }
  if (maximum !== null && greatest > maximum) {
    throw new PortError(`${label}: expected at most ${numberText(maximum)}, found ${numberText(greatest)}`);
  }
}

/**
 * The least and the greatest value.
 * @param {TypedArray} data
 */
function extremes(data) {
  let least = data[0];
  let greatest = data[0];
  for (const value of data) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
}

/**
 * A single value itself, or an array's dtype; with what to give instead.
 * @param {unknown} value
 */
function foundText(value) {
  if (value instanceof Tensor) return value.shape.length > 0 ? `an array of ${value.dtype}` : itemText(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `${quoted(value)}: give a Tensor`;
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return `${value}: beyond 2^53 give a bigint`;
  return quoted(value);
}

/** @param {Tensor} tensor */
function itemText(tensor) {
  return String(tensor.dtype === "bool" ? tensor.item() === 1 : tensor.item());
}
