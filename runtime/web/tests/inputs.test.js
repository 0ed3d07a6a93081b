/** What a caller may give for an input beyond the suite's tensors: JavaScript's own numbers, names and gaps. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PortError, Tensor } from "../src/index.js";
import { checkInputs } from "../src/inputs.js";
import { portOf } from "../src/ports.js";

/** @typedef {import("../src/index.js").DType} DType */
/** @typedef {import("../src/index.js").Value} Value */

/**
 * The tensor that a port makes of a value.
 * @param {DType} dtype
 * @param {Value} value
 * @param {object} [fields] More of the port.
 */
function checked(dtype, value, fields = {}) {
  return checkInputs("f", [portOf({ name: "x", dtype, shape: [], ...fields })], { x: value }).tensors.x;
}

for (const [value, dtype, kept] of /** @type {[Value, DType, number | bigint][]} */ ([
  [7, "int64", 7n],
  [7n, "int64", 7n],
  [-(2n ** 63n), "int64", -(2n ** 63n)],
  [2 ** 53 - 1, "int64", 2n ** 53n - 1n],
  [255, "uint8", 255],
  [-1, "int32", -1],
  [1, "float32", 1],
  [0.1, "float32", Math.fround(0.1)],
  [16777217, "float32", 16777216],
  [16777216n, "float32", 16777216],
  [0.1, "float64", 0.1],
  [true, "bool", 1],
  [false, "bool", 0],
  [new Tensor([], BigInt64Array.of(3n)), "float64", 3],
  [new Tensor([], Uint8Array.of(3)), "int64", 3n],
])) {
  test(`${typeof value} ${value instanceof Tensor ? value.dtype : value} goes to a port of ${dtype}`, () => {
    const tensor = checked(dtype, value);
    assert.deepEqual([tensor.dtype, tensor.shape, tensor.item()], [dtype, [], kept]);
  });
}

for (const [value, dtype, says] of /** @type {[any, DType, string][]} */ ([
  [1.5, "int64", "expected int64, found 1.5"],
  [2 ** 53, "int64", "expected int64, found 9007199254740992: beyond 2^53 give a bigint"],
  [2n ** 63n, "int64", "expected int64, found 9223372036854775808"],
  [256, "uint8", "expected uint8, found 256"],
  [16777217n, "float32", "expected float32, found 16777217"],
  [1e39, "float32", "expected finite float32 values, found NaN or infinity"],
  [NaN, "float64", "expected finite float64 values, found NaN or infinity"],
  [NaN, "int64", "expected int64, found NaN"],
  [1, "bool", "expected bool, found 1"],
  [true, "int64", "expected int64, found true"],
  ["7", "int64", "expected int64, found '7'"],
  ["a long\nname".repeat(9), "int64", "expected int64, found 'a long namea long namea long namea long"],
  [null, "int64", "expected int64, found null"],
  [[1n, 2], "int64", "expected int64, found Array(2): give a Tensor"],
  [new Float32Array(6), "float32", "expected float32, found Float32Array(6): give a Tensor"],
  [Object.create(null), "int64", "expected int64, found Object"],
  [Symbol("a"), "int64", "expected int64, found Symbol(a)"],
  [new Tensor([], Uint8Array.of(2), "bool"), "bool", "expected at most 1, found 2"],
  [new Tensor([], Uint8Array.of(1), "bool"), "int64", "expected int64, found true"],
])) {
  test(`a ${typeof value} is refused: ${says}`, () => {
    assert.throws(() => checked(dtype, value), { name: "PortError", message: `f: x: ${says}` });
  });
}

test("a bound is kept to the last of 64 bits", () => {
  const most = { maximum: 2 ** 53 };
  assert.equal(checked("int64", 2n ** 53n, most).item(), 2n ** 53n);
  assert.throws(
    () => checked("int64", 2n ** 53n + 1n, most),
    /expected at most 9007199254740992, found 9007199254740993/,
  );
});

test("what is undefined is left out", () => {
  const ports = [portOf({ name: "x", dtype: "int64", shape: [], optional: true })];
  assert.deepEqual(checkInputs("f", ports, { x: undefined }).tensors, {});
});

test("names that every object has are no inputs", () => {
  assert.throws(() => checkInputs("f", [], { constructor: 1 }), {
    message: "f has no input 'constructor': it takes none",
  });
  assert.throws(
    () => checkInputs("f", [portOf({ name: "toString", dtype: "int64", shape: [] })], {}),
    /f needs toString/,
  );
});

test("a free axis is that of all tensors, and of a whole number of its name", () => {
  const ports = [
    { name: "n", dtype: "int64", shape: [] },
    { name: "x", dtype: "float32", shape: ["n", 2] },
  ].map(portOf);
  const x = new Tensor([3, 2], new Float32Array(6));
  assert.deepEqual(checkInputs("f", ports, { n: 3, x }).tensors.x, x);
  assert.throws(() => checkInputs("f", ports, { n: 2, x }), /f: x: expected shape \[n=2, 2\], found \[3, 2\]/);
});

test("a tensor has as many values of its type as its shape says", () => {
  assert.throws(() => new Tensor([2, 2], new Float32Array(3)), /a tensor of \[2, 2\]: expected 4 values, found 3/);
  assert.throws(() => new Tensor([-1, -3], new Float32Array(3)), /expected sizes of at least 0, found \[-1, -3\]/);
  assert.throws(() => new Tensor([1], new Float32Array(1), "int64"), /a tensor of int64: expected values of that type/);
  assert.throws(() => new Tensor([1], /** @type {any} */ (new Int8Array(1))), PortError);
  assert.throws(() => new Tensor([2], new Float32Array(2)).item(), /expected a tensor of one value, found 2/);
});
