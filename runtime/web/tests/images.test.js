/** Images: their grid, their file, their pixels for a canvas, and their tensors. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { grid, Images, imageTensor, PortError, ppm, Tensor, tensorImages } from "../src/index.js";

/**
 * Grey images of 2 x 2 pixels: 1 2 3 4, 5 6 7 8 and on.
 * @param {number} count
 */
function grey(count) {
  return new Images({
    count,
    height: 2,
    width: 2,
    channels: 1,
    data: Uint8Array.from({ length: count * 4 }, (_, i) => i + 1),
  });
}

/** Two RGB images of 1 x 2 pixels. */
const RGB = new Images({
  count: 2,
  height: 1,
  width: 2,
  channels: 3,
  data: Uint8Array.from({ length: 12 }, (_, i) => i * 20),
});

test("a grid lays images out row by row on mid-grey", () => {
  const sheet = grid(grey(3), 2, 1);
  const expected = [
    [1, 2, 128, 5, 6],
    [3, 4, 128, 7, 8],
    [128, 128, 128, 128, 128],
    [9, 10, 128, 128, 128],
    [11, 12, 128, 128, 128],
  ];
  assert.deepEqual([sheet.count, sheet.height, sheet.width, sheet.channels], [1, 5, 5, 1]);
  assert.deepEqual([...sheet.data], expected.flat());
});

test("a grid is about a square, and never wider than its images", () => {
  assert.deepEqual([grid(grey(5)).width, grid(grey(5)).height], [10, 6]);
  assert.deepEqual([grid(grey(2), 9).width, grid(grey(2), 9).height], [6, 2]);
  assert.deepEqual([...grid(RGB, 2, 0).data], [...RGB.data]);
});

test("a grey image is written as RGB", () => {
  const head = [...new TextEncoder().encode("P6\n2 2\n255\n")];
  assert.deepEqual([...ppm(grey(2).at(1))], [...head, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8]);
  assert.deepEqual([...ppm(RGB.at(0)).slice(-6)], [0, 20, 40, 60, 80, 100]);
});

test("a canvas gets opaque RGBA", () => {
  assert.deepEqual([...RGB.toImageData(1).data], [120, 140, 160, 255, 180, 200, 220, 255]);
  assert.deepEqual([...grey(1).toImageData(0).data.slice(0, 8)], [1, 1, 1, 255, 2, 2, 2, 255]);
  assert.deepEqual([grey(1).toImageData(0).width, grey(1).toImageData(0).height], [2, 2]);
});

test("a tensor of images has planes in [-1, 1], each the nearest float32 of its two steps", () => {
  const { shape, data } = imageTensor(RGB);
  assert.deepEqual([...shape], [2, 3, 1, 2]);
  assert.deepEqual(
    [...data].map((value) => Math.round((Number(value) + 1) * 127.5)),
    [0, 60, 20, 80, 40, 100, 120, 180, 140, 200, 160, 220],
  );
  const bytes = { count: 1, height: 1, width: 4, channels: 1, data: Uint8Array.of(0, 64, 127, 255) };
  const nearest = [-1, -0.498039186000824, -0.003921568393707275, 1]; // in one step 64 would be 3e-8 lower
  assert.deepEqual([...imageTensor(new Images(bytes)).data], nearest);
});

test("every byte comes back from its tensor", () => {
  const all = new Images({
    count: 1,
    height: 16,
    width: 16,
    channels: 1,
    data: Uint8Array.from({ length: 256 }, (_, i) => i),
  });
  assert.deepEqual(tensorImages(imageTensor(all)), all);
  assert.deepEqual(tensorImages(imageTensor(RGB)), RGB);
});

test("what lies outside is clamped, and a tie goes to the even level", () => {
  const ties = [84.5, 85.5, 86.5].map((level) => level / 127.5 - 1); // float32 has them once they are multiplied
  const values = Float32Array.of(-9, 9, ...ties);
  assert.deepEqual([...tensorImages(new Tensor([1, 1, 1, 5], values)).data], [0, 255, 84, 86, 86]);
});

test("what is no image is refused by name", () => {
  const sizes = { count: 1, height: 1, width: 1, channels: 2, data: new Uint8Array(2) };
  assert.throws(() => new Images(sizes), /expected images \[count, height, width, 1 or 3\], found \[1, 1, 1, 2\]/);
  assert.throws(
    () => new Images({ ...sizes, channels: 3 }),
    /images of \[1, 1, 1, 3\]: expected as many bytes, found 2/,
  );
  assert.throws(() => grey(1).at(1), /expected an image below 1, found 1/);
  assert.throws(() => grid(grey(1), 0), /expected columns of at least 1/);
  assert.throws(() => ppm(grey(2)), /ppm: expected one image, found 2/);
  assert.throws(() => tensorImages(new Tensor([4], new Float32Array(4))), PortError);
});
