/** Cards beside graphs: what may differ, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { requireDeclared } from "../src/agreement.js";
import { portOf } from "../src/ports.js";

/** @typedef {import("../src/session.js").OrtValue} OrtValue */

/**
 * Compares a card of one input and one output with a graph.
 * @param {OrtValue[]} inputs
 * @param {OrtValue[]} outputs
 * @param {string[]} [defaults]
 */
function compare(inputs, outputs, defaults = []) {
  const card = {
    inputs: [portOf({ name: "x", dtype: "float32", shape: ["batch", 2] })],
    outputs: [portOf({ name: "y", dtype: "int64", shape: ["batch", 3] })],
  };
  const values = new Map(defaults.map((name) => [name, undefined]));
  requireDeclared("a.onnx", /** @type {any} */ (card), /** @type {any} */ ({ inputs, outputs }), values);
}

const X = { name: "x", type: "float32", shape: ["n", 2] };
const Y = { name: "y", type: "int64", shape: ["n", 3] };

for (const [what, inputs, outputs] of /** @type {[string, OrtValue[], OrtValue[]][]} */ ([
  ["other names of free axes", [X], [Y]],
  ["an output of unknown sizes", [X], [{ ...Y, shape: ["n", "m"] }]],
  ["an output of an unknown rank", [X], [{ ...Y, shape: [] }]],
  ["an output of a known batch", [X], [{ ...Y, shape: [1, 3] }]],
])) {
  test(`a graph may have ${what}`, () => compare(inputs, outputs));
}

for (const [what, inputs, outputs, says] of /** @type {[string, OrtValue[], OrtValue[], string][]} */ ([
  ["no input", [], [Y], "the required inputs {'x': 'tensor(float)'}, its graph has {}"],
  [
    "another dtype of an output",
    [X],
    [{ ...Y, type: "int32" }],
    "{'y': 'tensor(int64)'}, its graph has {'y': 'tensor(int32)'}",
  ],
  ["an output that is no tensor", [X], [{ name: "y" }], "its graph has {'y': 'tensor(none)'}"],
  ["an output more", [X], [{ ...Y, name: "z" }, Y], "has {'y': 'tensor(int64)', 'z': 'tensor(int64)'}"],
  ["another size of an input", [{ ...X, shape: ["n", 3] }], [Y], "x with the shape [batch, 2], its graph [n, 3]"],
  ["a known batch of an input", [{ ...X, shape: [1, 2] }], [Y], "x with the shape [batch, 2], its graph [1, 2]"],
  ["an unknown size of an input", [{ ...X, shape: ["n", "m"] }], [Y], "x with the shape [batch, 2], its graph [n, m]"],
  ["another rank of an input", [{ ...X, shape: ["n"] }], [Y], "x with the shape [batch, 2], its graph [n]"],
  ["another size of an output", [X], [{ ...Y, shape: ["n", 4] }], "y with the shape [batch, 3], its graph [n, 4]"],
  ["another rank of an output", [X], [{ ...Y, shape: ["n"] }], "y with the shape [batch, 3], its graph [n]"],
])) {
  test(`a graph with ${what} is not the card's`, () => {
    assert.throws(
      () => compare(inputs, outputs),
      (error) => error instanceof Error && error.name === "FileError" && error.message.endsWith(says),
    );
  });
}

test("an input that may be left out is not the card's required one", () => {
  assert.throws(() => compare([X], [Y], ["x"]), /the required inputs \{'x': 'tensor\(float\)'\}, its graph has \{\}/);
});

test("an input with a value that the card does not know is refused", () => {
  const z = { name: "z", type: "bool", shape: [] };
  assert.throws(() => compare([X, z], [Y], ["z"]), /the optional inputs \{\}, its graph has \{'z': 'tensor\(bool\)'\}/);
});

test("names are compared in any order", () => {
  const ports = ["b", "a"].map((name) => portOf({ name, dtype: "bool", shape: [] }));
  const values = ["a", "b"].map((name) => ({ name, type: "bool", shape: [] }));
  const card = /** @type {any} */ ({ inputs: ports, outputs: ports });
  requireDeclared("a.onnx", card, /** @type {any} */ ({ inputs: values, outputs: values }), new Map());
});
