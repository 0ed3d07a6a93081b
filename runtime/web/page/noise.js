/**
 * The files' own noise of a seed, so that a picture can be found again by its latent: Widynski, *Squares: A Fast
 * Counter-Based RNG* (2020), arXiv:2004.06278, keyed by splitmix64, and Box & Muller (1958).
 */
import { roundedToEven } from "./gen-runtime/images.js";

export const SCHEME = "squares32-splitmix64-boxmuller-1";

const u64 = (x) => BigInt.asUintN(64, x);
const swapHalves = (x) => u64((x << 32n) | (x >> 32n));

function splitmix64(state) {
  let z = u64(state + 0x9e3779b97f4a7c15n);
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** The 32-bit word of a counter under a key. */
function squaresWord(counter, key) {
  const y = u64(counter * key);
  const z = u64(y + key);
  let x = swapHalves(u64(y * y + y));
  x = swapHalves(u64(x * x + z));
  x = swapHalves(u64(x * x + y));
  return u64(x * x + z) >> 32n;
}

/** The midpoint in (0, 1) of the cell that a word's top 24 bits name. */
const uniform = (word) => (Number(word >> 8n) + 0.5) * 2 ** -24;

/**
 * The initial standard normal noise of one image.
 *
 * @param {bigint} seed any int64
 * @param {bigint} index of the image in the seed's row of images
 * @param {number} size how many numbers
 */
export function normals(seed, index, size) {
  const key = splitmix64(splitmix64(u64(seed)) + index) | 1n;
  const pairs = Math.ceil(size / 2);
  const values = new Float32Array(2 * pairs);
  for (let pair = 0; pair < pairs; pair++) {
    const radius = Math.sqrt(-2 * Math.log(uniform(squaresWord(BigInt(2 * pair), key))));
    const turn = uniform(squaresWord(BigInt(2 * pair + 1), key));
    values[pair] = radius * Math.sin(2 * Math.PI * (turn + 0.25));
    values[pairs + pair] = radius * Math.sin(2 * Math.PI * turn);
  }
  return values.slice(0, size);
}

/**
 * Which patches the seed's first image hides, as the command `reconstruct` chooses them: those with the smallest numbers.
 *
 * @param {bigint} seed any int64
 * @param {number} ratio share of the patches, 0 to 1
 * @param {number} size how many patches
 */
export function hidden(seed, ratio, size) {
  const key = splitmix64(splitmix64(u64(seed))) | 1n;
  const words = Array.from({ length: size }, (_, patch) => Number(squaresWord(BigInt(patch), key) >> 8n));
  const order = words.map((_, patch) => patch).sort((a, b) => words[a] - words[b]);
  const mask = new Uint8Array(size);
  for (const patch of order.slice(0, roundedToEven(ratio * size))) mask[patch] = 1;
  return mask;
}

/** The point at `t` in [0, 1] on the great circle from a to b, which keeps the length that noise has. */
export function slerp(a, b, t) {
  const dot = a.reduce((sum, value, i) => sum + value * b[i], 0);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot / (Math.hypot(...a) * Math.hypot(...b)))));
  const [to_a, to_b] =
    angle < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((s) => s / Math.sin(angle));
  return a.map((value, i) => to_a * value + to_b * b[i]);
}
