/** Values of one type and shape, as ONNX Runtime takes and gives them. */

import { PortError } from "./errors.js";

/** @typedef {"bool" | "uint8" | "int32" | "int64" | "float32" | "float64"} DType */
/** @typedef {Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array} TypedArray */

/** The array that holds the values of each dtype; a bool is a byte, 0 or 1. */
export const ARRAYS = Object.freeze({
  uint8: Uint8Array,
  bool: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  float64: Float64Array,
});

/**
 * The number of values of a shape; 1 of a scalar's.
 * @param {readonly number[]} shape
 */
export function sizeOf(shape) {
  let size = 1;
  for (const axis of shape) size *= axis;
  return size;
}

/** An array of values, row by row: the last axis runs fastest. */
export class Tensor {
  /** @readonly @type {DType} */
  dtype;
  /** @readonly @type {readonly number[]} */
  shape;
  /** @readonly @type {TypedArray} */
  data;

  /**
   * @param {readonly number[]} shape The size of each axis; none for a scalar.
   * @param {TypedArray} data The values, which are not copied.
   * @param {DType} [dtype] Their type; the array's own by default. A `Uint8Array` is also that of bools.
   * @throws {PortError} The values are of another type, or not as many as the shape has.
   */
  constructor(shape, data, dtype = ownType(data)) {
    if (!(Object.hasOwn(ARRAYS, dtype) && data instanceof ARRAYS[dtype])) {
      throw new PortError(`a tensor of ${dtype}: expected values of that type, found another array`);
    }
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
      throw new PortError(`a tensor: expected sizes of at least 0, found [${shape.join(", ")}]`);
    }
    if (data.length !== sizeOf(shape)) {
      throw new PortError(`a tensor of [${shape.join(", ")}]: expected ${sizeOf(shape)} values, found ${data.length}`);
    }
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  /**
   * The value of a tensor that has one.
   * @returns {number | bigint}
   * @throws {PortError} It has none, or several.
   */
  item() {
    if (this.data.length !== 1) throw new PortError(`expected a tensor of one value, found ${this.data.length}`);
    return this.data[0];
  }
}

/**
 * The dtype whose values an array holds.
 * @param {TypedArray} data
 * @returns {DType}
 */
function ownType(data) {
  const dtype = /** @type {DType[]} */ (Object.keys(ARRAYS)).find((name) => data instanceof ARRAYS[name]);
  if (dtype === undefined) throw new PortError(`a tensor: expected a typed array of ${Object.keys(ARRAYS).join(", ")}`);
  return dtype;
}
