/** Whether a file's card and its graph say the same of its inputs and outputs. */

import { FileError } from "./errors.js";
import { shapeText } from "./ports.js";

/** @typedef {import("./card.js").Card} Card */
/** @typedef {import("./ports.js").Port} Port */
/** @typedef {import("./session.js").OrtValue} OrtValue */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {readonly (number | string)[]} Shape */

const ONNX_NAMES = new Map([
  ["float32", "float"],
  ["float64", "double"],
]);

/**
 * Refuses a file whose card declares other ports than its graph has: whoever makes an input believes the card.
 * @param {string} path
 * @param {Card} card
 * @param {Session} session
 * @param {Map<string, unknown>} defaults The inputs that may be left out, by name.
 * @throws {FileError} A name, type or shape differs.
 */
export function requireDeclared(path, card, session, defaults) {
  const isOptional = (/** @type {OrtValue} */ value) => defaults.has(value.name);
  const isRequired = (/** @type {OrtValue} */ value) => !defaults.has(value.name);
  const required = card.inputs.filter((port) => !port.optional);
  const optional = card.inputs.filter((port) => port.optional);
  requireSameTypes(path, "required inputs", required, session.inputs.filter(isRequired));
  requireSameTypes(path, "optional inputs", optional, session.inputs.filter(isOptional));
  requireSameTypes(path, "outputs", card.outputs, session.outputs);
  requireShapes(path, card.inputs, session.inputs, hasSizes);
  requireShapes(path, card.outputs, session.outputs, mayHaveSizes);
}

/**
 * @param {string} path
 * @param {string} what
 * @param {readonly Port[]} ports
 * @param {readonly OrtValue[]} values
 */
function requireSameTypes(path, what, ports, values) {
  const expected = typesText(ports.map(({ name, dtype }) => [name, dtype]));
  const found = typesText(values.map(({ name, type }) => [name, type ?? "none"]));
  if (expected !== found) {
    throw new FileError(`${path}: its card declares the ${what} ${expected}, its graph has ${found}`);
  }
}

/**
 * Names and types in the order of the names: `{'t': 'tensor(int64)', 'x': 'tensor(float)'}`.
 * @param {[string, string][]} types
 */
function typesText(types) {
  const texts = types.map(([name, type]) => `'${name}': 'tensor(${ONNX_NAMES.get(type) ?? type})'`);
  return `{${texts.sort().join(", ")}}`;
}

/**
 * @param {string} path
 * @param {readonly Port[]} ports
 * @param {readonly OrtValue[]} values
 * @param {(port: Port, shape: Shape) => boolean} agrees
 */
function requireShapes(path, ports, values, agrees) {
  const shapes = new Map(values.map(({ name, shape }) => [name, shape ?? []]));
  for (const port of ports) {
    const shape = shapes.get(port.name) ?? [];
    if (agrees(port, shape)) continue;
    const said = shapeText(port, new Map());
    throw new FileError(
      `${path}: its card declares ${port.name} with the shape ${said}, its graph [${shape.join(", ")}]`,
    );
  }
}

/**
 * Whether a shape has the port's sizes, and free axes where it has some.
 * @param {Port} port
 * @param {Shape} shape
 */
function hasSizes(port, shape) {
  const sameAxis = (/** @type {number | string} */ axis, /** @type {number} */ index) =>
    isFree(axis) ? isFree(shape[index]) : axis === shape[index];
  return shape.length === port.shape.length && port.shape.every(sameAxis);
}

/**
 * Whether a shape has no other rank or size than the port. The graph may know less of an output, behind a Loop or an
 * If, or more; an empty shape is also that of an unknown rank.
 * @param {Port} port
 * @param {Shape} shape
 */
function mayHaveSizes(port, shape) {
  if (shape.length !== port.shape.length) return shape.length === 0;
  return port.shape.every((axis, index) => isFree(axis) || isFree(shape[index]) || axis === shape[index]);
}

/** @param {number | string} axis */
function isFree(axis) {
  return typeof axis !== "number";
}
