/** Models as bytes that nobody vouches for: what is read of them, and that broken ones are refused. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

import { cardOf } from "../src/card.js";
import { FileError, load } from "../src/index.js";
import { readOnnx } from "../src/onnx.js";
import { concatenated, written } from "../src/protobuf.js";
import { bytesOf, FOLDER } from "./golden.js";

/** A whole model of 824 bytes. */
const SMALL = bytesOf("broken/whole");
const FILES = readdirSync(FOLDER).flatMap((file) => (file.endsWith(".onnx") ? [file.slice(0, -".onnx".length)] : []));
/** Bytes of a tag: the field's number, then its kind. */
const TAG = {
  graph: 0x3a,
  initializer: 0x2a,
  input: 0x5a,
  name: 0x0a,
  dims: 0x08,
  dtype: 0x10,
  tensorName: 0x42,
  raw: 0x4a,
};

const MINUS_ONE = [TAG.dims, ...Array(9).fill(0xff), 1];

/** @param {Uint8Array} bytes */
function loaded(bytes) {
  return load({ name: "bytes.onnx", read: async () => bytes });
}

/**
 * A model of one graph, one input `x`, and an initializer of that name.
 * @param {...number} tensor What the initializer has beside the name.
 */
function modelWithDefault(...tensor) {
  const name = new TextEncoder().encode("x");
  const initializer = concatenated(written(5, [Uint8Array.of(TAG.tensorName, 1), name, Uint8Array.from(tensor)]));
  const input = concatenated(written(11, [Uint8Array.of(TAG.name, 1), name]));
  return concatenated(written(7, [input, initializer]));
}

test("a model that ends early is refused wherever it ends", async () => {
  for (let length = 0; length < SMALL.length; length++) {
    await assert.rejects(loaded(SMALL.subarray(0, length)), FileError, `${length} bytes`);
  }
});

test("a model with one byte changed is opened or refused, and nothing else happens", async () => {
  for (const [at, byte] of SMALL.entries()) {
    const changed = Uint8Array.from(SMALL);
    changed[at] = byte ^ 0xff;
    const model = await loaded(changed).catch((error) =>
      assert.ok(error instanceof FileError, `byte ${at}: ${error.stack}`),
    );
    await model?.dispose();
  }
});

for (const [what, bytes, says] of /** @type {[string, number[], RegExp][]} */ ([
  ["a length beyond the end", [TAG.graph, 5, 0], /expected 5 bytes, found 1/],
  ["a length of 2^63", [TAG.graph, ...Array(9).fill(0x80), 1], /it ends within a field/],
  ["a number of more than 64 bits", [TAG.graph, ...Array(10).fill(0x80), 1], /more than 64 bits/],
  ["a number without an end", [TAG.graph, 0x80], /it ends within a number/],
  ["a field of a kind that is none", [0x3b], /a field of the kind 3/],
  ["no graph", [], /expected one graph, found 0/],
  ["two graphs", [TAG.graph, 0, TAG.graph, 0], /expected one graph, found 2/],
])) {
  test(`a model with ${what} is refused`, async () => {
    await assert.rejects(loaded(Uint8Array.from(bytes)), (error) => {
      assert.ok(error instanceof FileError);
      assert.match(error.message, /^bytes\.onnx: ONNX Runtime cannot load it: no ONNX model: /);
      assert.match(error.message, says);
      return true;
    });
  });
}

for (const [what, tensor, says] of /** @type {[string, number[], RegExp][]} */ ([
  ["more values than there are", [TAG.dims, 100, TAG.dtype, 7], /the shape \[100\] with 0 values/],
  [
    "two axes of less than none",
    [...MINUS_ONE, ...MINUS_ONE, TAG.dtype, 7, TAG.raw, 8, ...Array(8).fill(0)],
    /default of the shape \[-1, -1\]/,
  ],
  ["a type that no port has", [TAG.dtype, 8], /of the type 8/],
  ["half a value", [TAG.dtype, 7, TAG.raw, 4, 0, 0, 0, 0], /4 bytes are no values of int64/],
])) {
  test(`a default with ${what} is refused`, () => {
    assert.throws(() => readOnnx(modelWithDefault(...tensor)), says);
  });
}

test("a default is read and cut from the model, whose input stays", () => {
  const model = readOnnx(modelWithDefault(TAG.dtype, 7, TAG.raw, 8, 7, 0, 0, 0, 0, 0, 0, 0));
  assert.deepEqual(
    [...model.defaults].map(([name, tensor]) => [name, tensor.dtype, tensor.item()]),
    [["x", "int64", 7n]],
  );
  assert.deepEqual([...model.bytes], [TAG.graph, 5, TAG.input, 3, TAG.name, 1, 120]);
});

test("numbers of a default may stand together or one by one", () => {
  const int64s = 7;
  const together = readOnnx(modelWithDefault(TAG.dims, 2, TAG.dtype, 7, int64s * 8 + 2, 2, 3, 4));
  const oneByOne = readOnnx(modelWithDefault(TAG.dims, 2, TAG.dtype, 7, int64s * 8, 3, int64s * 8, 4));
  assert.deepEqual(together.defaults.get("x")?.data, BigInt64Array.of(3n, 4n));
  assert.deepEqual(oneByOne.defaults, together.defaults);
});

test("what a card declares as a default is the value in the file", () => {
  for (const file of FILES) {
    const { metadata, defaults } = readOnnx(bytesOf(file));
    const optional = cardOf(metadata, file).inputs.filter((port) => port.optional);
    assert.deepEqual(new Set(defaults.keys()), new Set(optional.map((port) => port.name)), file);
    for (const port of optional.filter(({ shape }) => shape.length === 0)) {
      const declared = port.dtype === "float32" ? Math.fround(Number(port.default)) : port.default;
      assert.equal(Number(defaults.get(port.name)?.item()), declared, `${file}: ${port.name}`);
    }
  }
});
