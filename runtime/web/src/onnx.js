/**
 * What ONNX Runtime's JavaScript packages keep to themselves: a file's metadata, and inputs that have a value.
 *
 * They take no value for an input that has an initializer (onnxruntime-node even leaves it out without a word), so
 * such initializers are cut from the bytes: the input must then be given, and is given the value that was cut.
 */

import { MalformedError } from "./errors.js";
import { BYTES, concatenated, fields, VARINT, varints, written } from "./protobuf.js";
import { ARRAYS, sizeOf, Tensor } from "./tensor.js";

/** @typedef {import("./protobuf.js").Field} Field */
/** @typedef {import("./tensor.js").DType} DType */

// Numbers of fields in onnx.proto.
const MODEL = { graph: 7, metadata: 14 };
const ENTRY = { key: 1, value: 2 };
const GRAPH = { initializer: 5, input: 11 };
const INPUT = { name: 1 };
const TENSOR = { dims: 1, dtype: 2, floats: 4, int32s: 5, int64s: 7, name: 8, raw: 9, doubles: 10 };

/** Each dtype's number in onnx.proto, and the field that holds its values where `raw` does not. */
const DTYPES = new Map(
  /** @type {[number, [DType, number]][]} */ ([
    [1, ["float32", TENSOR.floats]],
    [2, ["uint8", TENSOR.int32s]],
    [6, ["int32", TENSOR.int32s]],
    [7, ["int64", TENSOR.int64s]],
    [9, ["bool", TENSOR.int32s]],
    [11, ["float64", TENSOR.doubles]],
  ]),
);

/**
 * @typedef {object} OnnxModel
 * @property {Map<string, string>} metadata The file's own pairs of texts.
 * @property {Map<string, Tensor>} defaults The values of inputs that may be left out, by name.
 * @property {Uint8Array} bytes The model in which all inputs must be given.
 */

/**
 * Reads a model.
 * @param {Uint8Array} bytes
 * @returns {OnnxModel}
 * @throws {MalformedError} The bytes are no ONNX model, or an input's default is not what it says it is.
 */
export function readOnnx(bytes) {
  const model = [...fields(bytes)];
  const [graph, ...others] = messages(model, MODEL.graph);
  if (graph === undefined || others.length > 0) {
    throw new MalformedError(`expected one graph, found ${graph === undefined ? 0 : 1 + others.length}`);
  }
  const inside = [...fields(graph.content)];
  const inputs = new Set(messages(inside, GRAPH.input).map(({ content }) => textOf([...fields(content)], INPUT.name)));
  const cut = messages(inside, GRAPH.initializer).filter(({ content }) => inputs.has(nameOf(content)));
  return {
    metadata: new Map(messages(model, MODEL.metadata).map(({ content }) => entryOf([...fields(content)]))),
    defaults: new Map(cut.map(({ content }) => [nameOf(content), tensorOf([...fields(content)])])),
    bytes: cut.length > 0 ? without(bytes, graph, cut) : bytes,
  };
}

/**
 * The model without some fields of its graph.
 * @param {Uint8Array} bytes
 * @param {Field} graph
 * @param {Field[]} cut In the order of the bytes.
 */
function without(bytes, graph, cut) {
  const starts = [0, ...cut.map(({ end }) => end)];
  const ends = [...cut.map(({ start }) => start), graph.content.length];
  const kept = starts.map((start, index) => graph.content.subarray(start, ends[index]));
  return concatenated([bytes.subarray(0, graph.start), ...written(MODEL.graph, kept), bytes.subarray(graph.end)]);
}

/**
 * @param {Field[]} entry
 * @returns {[string, string]}
 */
function entryOf(entry) {
  return [textOf(entry, ENTRY.key), textOf(entry, ENTRY.value)];
}

/** @param {Uint8Array} tensor */
function nameOf(tensor) {
  return textOf([...fields(tensor)], TENSOR.name);
}

/** @param {Field[]} tensor */
function tensorOf(tensor) {
  const name = textOf(tensor, TENSOR.name);
  const [code = 0n] = numbers(tensor, TENSOR.dtype);
  const [dtype, field] = DTYPES.get(Number(code)) ?? [];
  if (dtype === undefined || field === undefined) throw new MalformedError(`${name} has a default of the type ${code}`);
  const shape = numbers(tensor, TENSOR.dims).map(Number);
  const data = dataOf(tensor, dtype, field);
  if (shape.some((size) => size < 0) || sizeOf(shape) !== data.length) {
    throw new MalformedError(`${name} has a default of the shape [${shape.join(", ")}] with ${data.length} values`);
  }
  return new Tensor(shape, data, dtype);
}

/**
 * The values of a tensor: bytes as they lie in memory, or whole numbers one by one.
 * @param {Field[]} tensor
 * @param {DType} dtype
 * @param {number} field
 */
function dataOf(tensor, dtype, field) {
  const raw = messages(tensor, TENSOR.raw).at(-1)?.content;
  if (raw !== undefined) return inMemory(raw, dtype);
  const own = tensor.filter(({ number }) => number === field);
  if (dtype === "float32" || dtype === "float64") {
    return inMemory(concatenated(own.map(({ content }) => content)), dtype);
  }
  const values = numbers(tensor, field);
  return dtype === "int64" ? BigInt64Array.from(values) : ARRAYS[dtype].from(values.map(Number));
}

/**
 * @param {Uint8Array} bytes
 * @param {DType} dtype
 */
function inMemory(bytes, dtype) {
  const width = ARRAYS[dtype].BYTES_PER_ELEMENT;
  if (bytes.length % width !== 0) throw new MalformedError(`${bytes.length} bytes are no values of ${dtype}`);
  return new ARRAYS[dtype](Uint8Array.from(bytes).buffer);
}

/**
 * The fields of one number that hold text, bytes or a message.
 * @param {Field[]} message
 * @param {number} number
 */
function messages(message, number) {
  return message.filter((field) => field.number === number && field.kind === BYTES);
}

/**
 * The last text of a field, as the format wants it; none where the field is missing.
 * @param {Field[]} message
 * @param {number} number
 */
function textOf(message, number) {
  const content = messages(message, number).at(-1)?.content;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw new MalformedError("a name or its metadata is not UTF-8 text");
  }
}

/**
 * The whole numbers of a field, signed, whether they stand together or one by one.
 * @param {Field[]} message
 * @param {number} number
 */
function numbers(message, number) {
  const own = message.filter((field) => field.number === number);
  const values = own.flatMap((field) => (field.kind === VARINT ? [field.value] : [...varints(field.content)]));
  return values.map((value) => BigInt.asIntN(64, value));
}
