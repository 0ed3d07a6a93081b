/** Values and other people's errors as words in a message of one line. */

const LONGEST = 40;
const CODES = /^(\[ONNXRuntimeError\] : \d+ : \w+ : |Can't create a session\. |ERROR_CODE: \d+, ERROR_MESSAGE: )+/;
const SOURCE_LINE = /\/\S+\.(?:h|cc|cu):\d+ .*?\)(?:::<lambda\(\)>)? /;

/**
 * A value as JavaScript writes it, cut where it is long; of an object its kind: `Float32Array(6)`.
 * @param {unknown} value
 */
export function quoted(value) {
  const text = typeof value === "string" ? `'${value}'` : typeof value === "object" ? kindOf(value) : String(value);
  return text.replace(/\s+/g, " ").slice(0, LONGEST);
}

/**
 * A whole number in full, another with six digits.
 * @param {number | bigint} value
 */
export function numberText(value) {
  return String(typeof value === "bigint" || Number.isInteger(value) ? value : Number(value.toPrecision(6)));
}

/**
 * What an error says, in one line, without ONNX Runtime's codes, source lines and stack.
 * @param {unknown} error
 */
export function reason(error) {
  const message = error instanceof Error ? error.message : String(error);
  const [line = ""] = message.trim().split("\n");
  return line.replace(CODES, "").replace(SOURCE_LINE, "");
}

/** @param {object | null} value */
function kindOf(value) {
  if (value === null) return "null";
  const kind = Object.getPrototypeOf(value)?.constructor?.name ?? "Object"; // its own field may have any name
  return Array.isArray(value) || ArrayBuffer.isView(value) ? `${kind}(${Reflect.get(value, "length")})` : kind;
}
