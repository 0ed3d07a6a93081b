/**
 * The wire format of protocol buffers, from bytes that nobody vouches for.
 *
 * A message is a row of fields: a tag (the field's number and kind), then its content.
 */

import { MalformedError } from "./errors.js";

/** @typedef {{ number: number, kind: number, value: bigint, content: Uint8Array, start: number, end: number }} Field */

/** The kind of a field whose content is a number of its own; `value` has it. */
export const VARINT = 0;
/** The kind of a field whose content is text, bytes, a message, or a row of numbers. */
export const BYTES = 2;

const WIDTHS = new Map([
  [1, 8],
  [5, 4],
]);
const NOTHING = new Uint8Array();

/**
 * The fields of a message, in the order of its bytes, each with where it starts and ends.
 * @param {Uint8Array} message
 * @returns {Generator<Field, void, void>}
 * @throws {MalformedError} The bytes are no message, or end within a field.
 */
export function* fields(message) {
  const reader = new Reader(message);
  while (!reader.done) {
    const start = reader.at;
    const tag = Number(reader.varint());
    const kind = tag % 8;
    const value = kind === VARINT ? reader.varint() : 0n;
    const content = kind === VARINT ? NOTHING : reader.take(widthOf(kind, reader));
    yield { number: Math.floor(tag / 8), kind, value, content, start, end: reader.at };
  }
}

/**
 * The numbers that stand one after another in a field's content.
 * @param {Uint8Array} content
 * @returns {Generator<bigint, void, void>}
 * @throws {MalformedError} The bytes end within a number.
 */
export function* varints(content) {
  const reader = new Reader(content);
  while (!reader.done) yield reader.varint();
}

/**
 * A message of one field: the tag, the content's length, and the content in pieces.
 * @param {number} number The field's number, below 16.
 * @param {Uint8Array[]} pieces
 * @returns {Uint8Array[]}
 */
export function written(number, pieces) {
  const head = [number * 8 + BYTES];
  let length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  for (; length >= 128; length = Math.floor(length / 128)) head.push((length % 128) + 128);
  return [Uint8Array.from([...head, length]), ...pieces];
}

/**
 * Pieces put together.
 * @param {Uint8Array[]} pieces
 */
export function concatenated(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * The bytes of a field's content.
 * @param {number} kind
 * @param {Reader} reader
 */
function widthOf(kind, reader) {
  const width = kind === BYTES ? Number(reader.varint()) : WIDTHS.get(kind);
  if (width === undefined) throw new MalformedError(`it has a field of the kind ${kind}`);
  return width;
}

class Reader {
  at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }

  get done() {
    return this.at === this.bytes.length;
  }

  /** A number of up to 64 bits, 7 to a byte, the lowest first. */
  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.done) throw new MalformedError("it ends within a number");
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new MalformedError("it has a number of more than 64 bits");
  }

  /** @param {number} length */
  take(length) {
    const left = this.bytes.length - this.at;
    if (length > left) throw new MalformedError(`it ends within a field: expected ${length} bytes, found ${left}`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
