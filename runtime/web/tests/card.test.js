/** Cards: what is read, and what is refused in documents of strangers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cardOf } from "../src/card.js";
import { FileError } from "../src/index.js";

const PORT = { name: "x", dtype: "float32", shape: ["batch", 2] };
const WHOLE = {
  version: 1,
  family: "vae",
  graph: "encode",
  image: { height: 2, width: 3, channels: 1 },
  inputs: [PORT],
  outputs: [{ ...PORT, name: "y" }],
};

/** @param {unknown} document */
function read(document) {
  return cardOf(
    new Map([["gen_export", typeof document === "string" ? document : JSON.stringify(document)]]),
    "a.onnx",
  );
}

/** @param {object} fields */
const withPort = (fields) => ({ ...WHOLE, inputs: [{ ...PORT, ...fields }] });

for (const [what, document, says] of /** @type {[string, unknown, string][]} */ ([
  ["no object", [], "its card has no version, expected 1"],
  ["a version with a point", { ...WHOLE, version: 1.5 }, "its card has no version, expected 1"],
  ["no family", { ...WHOLE, family: undefined }, "its card lacks the field 'family'"],
  ["a family of capitals", { ...WHOLE, family: "VAE" }, "expected a name of a-z, 0-9 and _, found 'VAE'"],
  ["a part that leaves the folder", { ...WHOLE, parts: ["../a"] }, "found '../a'"],
  ["a part with a line break", { ...WHOLE, parts: ["a\n"] }, "expected a name of a-z, 0-9 and _"],
  ["parts that are text", { ...WHOLE, parts: "encode" }, "parts must be a list"],
  ["a summary that is a number", { ...WHOLE, summary: 1 }, "summary must be text"],
  ["a section that is a list", { ...WHOLE, verified: [] }, "verified must be an object"],
  ["an image without a width", { ...WHOLE, image: { height: 1, channels: 1 } }, "image width must be a whole number"],
  ["an image of no height", { ...WHOLE, image: { height: 0, width: 1, channels: 1 } }, "image height must be"],
  ["an image with a depth", { ...WHOLE, image: { ...WHOLE.image, depth: 1 } }, "image has a field 'depth'"],
  ["inputs that are an object", { ...WHOLE, inputs: {} }, "inputs must be a list"],
  ["no output", { ...WHOLE, outputs: [] }, "outputs must not be empty"],
  ["a port that is text", { ...WHOLE, inputs: ["x"] }, "a port must be an object, found 'x'"],
  ["a port with an unknown field", withPort({ colour: 1 }), "a port has a field 'colour'"],
  ["a field that objects have", withPort({ constructor: { name: 5 } }), "a port has a field 'constructor'"],
  ["a port without a name", withPort({ name: undefined }), "a port's name must be an identifier, found undefined"],
  ["a port's name with a space", withPort({ name: "a b" }), "a port's name must be an identifier, found 'a b'"],
  ["a port's name that would be a prototype", withPort({ name: "__proto__" }), "a port's name must be an identifier"],
  ["an unknown dtype", withPort({ dtype: "float16" }), "port x: dtype must be one of"],
  ["a dtype that every object has", withPort({ dtype: "constructor" }), "port x: dtype must be one of"],
  ["an axis of no size", withPort({ shape: [0] }), "port x: shape must hold sizes and names, found Array(1)"],
  ["an axis with a point", withPort({ shape: [1.5] }), "port x: shape must hold sizes and names"],
  ["a bound that is text", withPort({ minimum: "0" }), "port x: minimum must be a finite number, found '0'"],
  ["a description that is a number", withPort({ description: 1 }), "port x: description must be text"],
  ["optional as a number", withPort({ optional: 1 }), "port x: optional must be true or false"],
  ["a choice that is no name", withPort({ choices: ["a-b"] }), "port x: choices must be names"],
  [
    "images of another size",
    withPort({ shape: ["batch", 1, 2, 4] }),
    "port x: expected images of [1, 2, 3], found [1, 2, 4]",
  ],
  ["a text without an end", `{"${'\\"'.repeat(2 ** 18)}`, "its card is not JSON: "],
  ["a line break in broken JSON", '{"version":\n1,\nx}', "its card is not JSON: "],
  ["minus infinity", '{"version": -Infinity}', "its card is not JSON: -Infinity is no JSON number"],
  ["too long a text", " ".repeat(2 ** 20 + 1), "expected a card of at most 1048576 characters, found 1048577"],
  ["too many lists", "[".repeat(40) + "]".repeat(40), "expected a card at most 32 levels deep"],
])) {
  test(`a card with ${what} is refused in one line`, () => {
    assert.throws(
      () => read(document),
      (error) =>
        error instanceof FileError &&
        error.message.startsWith("a.onnx: ") &&
        error.message.includes(says) &&
        !error.message.includes("\n"),
    );
  });
}

test("numbers in texts of a card are no numbers", () => {
  assert.equal(read({ ...WHOLE, summary: 'NaN and "1e999' }).summary, 'NaN and "1e999');
});

test("what a card leaves out is empty", () => {
  const card = read(WHOLE);
  const { summary, parts, inner, parity, verified } = card;
  assert.deepEqual(
    { summary, parts, inner, parity, verified },
    { summary: "", parts: [], inner: [], parity: [], verified: null },
  );
  assert.deepEqual(card.inputs[0], {
    ...PORT,
    description: "",
    minimum: null,
    maximum: null,
    default: null,
    optional: false,
    choices: [],
  });
});

test("a card cannot be changed", () => {
  const card = read({ ...WHOLE, config: { latent: { size: 6 } } });
  assert.throws(() => Object.assign(card.config?.latent, { size: 7 }), TypeError);
  assert.throws(() => Object.assign(card.inputs[0].shape, { 1: 3 }), TypeError);
});
