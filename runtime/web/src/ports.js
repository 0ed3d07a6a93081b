/** Ports: the named, typed, bounded inputs and outputs of one graph. */

import { MalformedError } from "./errors.js";
import { ARRAYS } from "./tensor.js";
import { quoted } from "./text.js";

/** @typedef {import("./tensor.js").DType} DType */

/**
 * One input or output.
 * @typedef {object} Port
 * @property {string} name
 * @property {DType} dtype
 * @property {readonly (number | string)[]} shape An axis is a size, or the name of a free axis that all ports share.
 *   One with the name of a whole scalar input has that input's value as its size.
 * @property {string} description What it is, with its unit, in one phrase.
 * @property {number | null} minimum The least allowed value.
 * @property {number | null} maximum The greatest allowed value.
 * @property {number | null} default The value of an input that is left out.
 * @property {boolean} optional Whether the caller may leave it out.
 * @property {readonly string[]} choices Names of the values 0, 1, ..; a caller may give the name.
 */

/** No `__proto__`: ports' names become those of properties. */
const IDENTIFIER = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]*$/;
const ABSENT = { description: "", minimum: null, maximum: null, default: null, optional: false, choices: [] };
const FIELDS = ["name", "dtype", "shape", ...Object.keys(ABSENT)];

/**
 * The port that a card describes.
 * @param {unknown} value
 * @returns {Port}
 * @throws {MalformedError} It describes none.
 */
export function portOf(value) {
  const given = onlyFields(value, FIELDS, "a port");
  require(isIdentifier(given.name), `a port's name must be an identifier, found ${quoted(given.name)}`);
  const port = /** @type {Port} */ (/** @type {unknown} */ ({ ...ABSENT, ...given }));
  const label = `port ${port.name}`;
  require(Object.hasOwn(ARRAYS, port.dtype), `${label}: dtype must be one of ${known()}, found ${quoted(port.dtype)}`);
  require(isListOf(port.shape, isAxis), `${label}: shape must hold sizes and names, found ${quoted(port.shape)}`);
  for (const bound of /** @type {const} */ (["minimum", "maximum", "default"])) {
    require(isBound(port[bound]), `${label}: ${bound} must be a finite number, found ${quoted(port[bound])}`);
  }
  require(typeof port.description === "string", `${label}: description must be text`);
  require(typeof port.optional === "boolean", `${label}: optional must be true or false`);
  require(isListOf(port.choices, isIdentifier), `${label}: choices must be names, found ${quoted(port.choices)}`);
  return port;
}

/**
 * The port's shape with the free axes' known sizes: `[batch=2, 1, 28, 28]`.
 * @param {Port} port
 * @param {Map<string, number>} axes
 */
export function shapeText(port, axes) {
  const sizes = port.shape.map((axis) =>
    typeof axis === "string" && axes.has(axis) ? `${axis}=${axes.get(axis)}` : axis,
  );
  return `[${sizes.join(", ")}]`;
}

/**
 * Whether a shape is the port's, with no empty axis; notes the free axes that it is the first to have.
 * @param {Port} port
 * @param {readonly number[]} shape
 * @param {Map<string, number>} axes
 */
export function fits(port, shape, axes) {
  if (shape.length !== port.shape.length || shape.includes(0)) return false;
  return port.shape.every((axis, index) => {
    if (typeof axis === "number") return axis === shape[index];
    if (!axes.has(axis)) axes.set(axis, shape[index]);
    return axes.get(axis) === shape[index];
  });
}

/**
 * An object whose fields all have one of these names.
 * @param {unknown} value
 * @param {readonly string[]} names
 * @param {string} what
 * @returns {Record<string, unknown>}
 * @throws {MalformedError} It is no object, or has another field.
 */
export function onlyFields(value, names, what) {
  require(isObject(value), `${what} must be an object, found ${quoted(value)}`);
  const object = /** @type {Record<string, unknown>} */ (value);
  const other = Object.keys(object).find((name) => !names.includes(name));
  require(other === undefined, `${what} has a field ${quoted(other)}`);
  return object;
}

/** @param {unknown} value */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {unknown} value
 * @param {(item: unknown) => boolean} accepts
 */
export function isListOf(value, accepts) {
  return Array.isArray(value) && value.every(accepts);
}

/** @param {unknown} value */
export function isSize(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) > 0;
}

/**
 * @param {boolean} condition
 * @param {string} words
 * @returns {asserts condition}
 */
export function require(condition, words) {
  if (!condition) throw new MalformedError(words);
}

const known = () => Object.keys(ARRAYS).join(", ");
/** @param {unknown} value */
const isIdentifier = (value) => typeof value === "string" && IDENTIFIER.test(value);
/** @param {unknown} value */
const isAxis = (value) => isIdentifier(value) || isSize(value);
/** @param {unknown} value */
const isBound = (value) => value === null || Number.isFinite(value);
