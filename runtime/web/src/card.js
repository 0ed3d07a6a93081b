/** The card: what a file says of itself, one JSON document in its ONNX metadata. */

import { FileError, MalformedError } from "./errors.js";
import { isListOf, isObject, isSize, onlyFields, portOf, require } from "./ports.js";
import { quoted, reason } from "./text.js";

/** @typedef {import("./ports.js").Port} Port */
/** @typedef {Readonly<Record<string, any>>} Section */

/**
 * What one file says of itself.
 * @typedef {object} Card
 * @property {number} version The document's version.
 * @property {string} family The model family: `vae`, `diffusion`.
 * @property {string} graph The graph in this file: `sample`, `encode`.
 * @property {string} summary One sentence about it.
 * @property {{ readonly height: number, readonly width: number, readonly channels: number }} image The images' size.
 * @property {readonly Port[]} inputs What the graph takes, in order.
 * @property {readonly Port[]} outputs What it gives, in order.
 * @property {readonly Port[]} inner Values on the way that keep a name in the file.
 * @property {readonly string[]} parts The graphs in the files beside this one.
 * @property {readonly Section[]} parity Measured differences from the model it was exported from.
 * @property {Section | null} config The options the model was built with.
 * @property {Section | null} schedule The noise schedule of a diffusion model.
 * @property {Section | null} noise How the graph's noise is made.
 * @property {Section | null} data The images it was trained on.
 * @property {Section | null} training How it was trained.
 * @property {Section | null} trajectory Measured differences along a sampler's steps.
 * @property {Section | null} certificate What is proven of the network, or why nothing is.
 * @property {Section | null} verified What was checked on the file, and the hashes of the files it was checked on.
 * @property {Section | null} tool The versions that wrote the file.
 */

const KEY = "gen_export";
const VERSION = 1;
/** The longest document read, in characters: a card is a few thousand. */
const LONGEST = 2 ** 20;
/** How many objects and lists may lie in one another: a card has five. */
const DEEPEST = 32;

const NAME = /^[a-z][a-z0-9_]*$/;
const REQUIRED = ["family", "graph", "image", "inputs", "outputs"];
const SECTIONS = ["config", "schedule", "noise", "data", "training", "trajectory", "certificate", "verified", "tool"];
const SIZES = /** @type {const} */ (["height", "width", "channels"]);
const PLANES = /** @type {const} */ (["channels", "height", "width"]);
/** The axes after the first, of the ports that hold images. */
const LAYOUTS = new Map(Object.entries({ image: PLANES, x: PLANES, x0: PLANES, images: SIZES }));

/** A text of a JSON document, the last without its end, or what stands for a number. */
const TOKEN = /"(?:[^"\\]|\\[^])*"?|-?(?:Infinity|NaN|\d[\d.eE+-]*)/g;

/**
 * The card in a file's metadata, frozen.
 * @param {Map<string, string>} metadata
 * @param {string} path The file, for messages.
 * @returns {Readonly<Card>}
 * @throws {FileError} There is none; it is too long, too deep, no JSON, of a newer version; or a field is missing or
 *   malformed.
 */
export function cardOf(metadata, path) {
  const text = metadata.get(KEY);
  if (text === undefined) {
    throw new FileError(`${path}: an ONNX file without the metadata key '${KEY}': gen-export did not write it`);
  }
  const document = documentOf(text, path);
  const lacking = REQUIRED.find((name) => !Object.hasOwn(document, name));
  if (lacking !== undefined) throw new FileError(`${path}: its card lacks the field '${lacking}'`);
  try {
    return frozen(checked(document));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new FileError(`${path}: its card has a malformed field: ${error.message}`, { cause: error });
  }
}

/**
 * The JSON object, once its length, depth and version are known to be ours.
 * @param {string} text
 * @param {string} path
 * @returns {Record<string, unknown>}
 */
function documentOf(text, path) {
  if (text.length > LONGEST) {
    throw new FileError(`${path}: expected a card of at most ${LONGEST} characters, found ${text.length}`);
  }
  const document = parsed(text, path);
  if (isDeeper(document, DEEPEST)) {
    throw new FileError(`${path}: expected a card at most ${DEEPEST} levels deep, found a deeper one`);
  }
  const version = isObject(document) ? document.version : undefined;
  if (!isSize(version)) throw new FileError(`${path}: its card has no version, expected ${VERSION}`);
  if (version > VERSION) {
    throw new FileError(`${path}: its card has version ${version}, this package reads up to ${VERSION}: upgrade it`);
  }
  return document;
}

/**
 * @param {string} text
 * @param {string} path
 */
function parsed(text, path) {
  const odd = text.match(TOKEN)?.find((token) => !token.startsWith('"') && !Number.isFinite(Number(token)));
  try {
    require(odd === undefined, `${odd?.slice(0, 40)} is ${/[NI]/.test(odd ?? "") ? "no JSON" : "too large a"} number`);
    return JSON.parse(text);
  } catch (error) {
    throw new FileError(`${path}: its card is not JSON: ${reason(error)}`, { cause: error });
  }
}

/**
 * Whether more than so many objects and lists lie in one another.
 * @param {unknown} value
 * @param {number} levels
 * @returns {boolean}
 */
function isDeeper(value, levels) {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeper(item, levels - 1));
}

/**
 * The card that a document describes.
 * @param {Record<string, unknown>} document
 * @returns {Card}
 * @throws {MalformedError} A field is not what it has to be, or a port says another size of the images.
 */
function checked(document) {
  const optional = { summary: "", inner: [], parts: [], parity: [] };
  const sections = Object.fromEntries(SECTIONS.map((name) => [name, null]));
  const card = /** @type {any} */ ({ ...optional, ...sections, ...document });
  for (const name of [card.family, card.graph]) requireName(name);
  require(typeof card.summary === "string", "summary must be text");
  require(Array.isArray(card.parts), "parts must be a list");
  for (const part of card.parts) requireName(part);
  require(isListOf(card.parity, isObject), "parity must be a list of objects");
  for (const name of SECTIONS) require(card[name] === null || isObject(card[name]), `${name} must be an object`);
  onlyFields(card.image, SIZES, "image");
  for (const size of SIZES) require(isSize(card.image[size]), `image ${size} must be a whole number of at least 1`);
  for (const name of ["inputs", "outputs", "inner"]) {
    require(Array.isArray(card[name]), `${name} must be a list`);
    card[name] = card[name].map(portOf);
  }
  require(card.outputs.length > 0, "outputs must not be empty");
  for (const port of [...card.inputs, ...card.outputs]) requireSizes(port, card.image);
  return card;
}

/**
 * Refuses a port that holds images of another size than the card says.
 * @param {Port} port
 * @param {Card["image"]} image
 */
function requireSizes(port, image) {
  const sizes = LAYOUTS.get(port.name)?.map((axis) => image[axis]);
  if (sizes === undefined || port.shape.length !== 1 + sizes.length) return;
  const found = port.shape.slice(1).join(", ");
  require(sizes.join(", ") === found, `port ${port.name}: expected images of [${sizes.join(", ")}], found [${found}]`);
}

/**
 * Refuses what may not name a graph or a family; nothing else may become part of a file's name.
 * @param {unknown} value
 */
function requireName(value) {
  const isName = typeof value === "string" && NAME.test(value);
  require(isName, `expected a name of a-z, 0-9 and _, found ${quoted(value)}`);
}

/**
 * A value that cannot be changed, nor anything in it.
 * @template T
 * @param {T} value
 * @returns {Readonly<T>}
 */
function frozen(value) {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
}
