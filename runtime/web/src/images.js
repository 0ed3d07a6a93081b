/** Images of bytes: on a canvas, laid out as a grid, written as PPM, and as the tensors that files take and give. */

import { PortError } from "./errors.js";
import { Tensor } from "./tensor.js";

const MID_GREY = 128;

/** Images of one size: pixels row by row, channels together (1 grey, 3 RGB), 0 black to 255 white. */
export class Images {
  /** @readonly @type {number} */
  count;
  /** @readonly @type {number} */
  height;
  /** @readonly @type {number} */
  width;
  /** @readonly @type {number} */
  channels;
  /** @readonly @type {Uint8Array} */
  data;

  /**
   * @param {{ count: number, height: number, width: number, channels: number, data: Uint8Array }} images The bytes of
   *   [count, height, width, channels], which are not copied.
   * @throws {PortError} They are not as many as the sizes say, or a size is none.
   */
  constructor({ count, height, width, channels, data }) {
    const sizes = [count, height, width, channels];
    const isOk = sizes.every((size) => Number.isSafeInteger(size) && size > 0) && (channels === 1 || channels === 3);
    if (!isOk) throw new PortError(`expected images [count, height, width, 1 or 3], found [${sizes.join(", ")}]`);
    if (data.length !== count * height * width * channels) {
      throw new PortError(`images of [${sizes.join(", ")}]: expected as many bytes, found ${data.length}`);
    }
    this.count = count;
    this.height = height;
    this.width = width;
    this.channels = channels;
    this.data = data;
  }

  /**
   * One image, on the same bytes.
   * @param {number} index
   * @returns {Images}
   * @throws {PortError} There is none.
   */
  at(index) {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.count) {
      throw new PortError(`expected an image below ${this.count}, found ${index}`);
    }
    const size = this.data.length / this.count;
    return new Images({ ...this, count: 1, data: this.data.subarray(index * size, (index + 1) * size) });
  }

  /**
   * One image as `new ImageData(data, width)` and canvases take it: RGBA, opaque.
   * @param {number} index
   * @returns {{ data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number }}
   * @throws {PortError} There is none.
   */
  toImageData(index) {
    const { data, width, height, channels } = this.at(index);
    const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
    for (let pixel = 0; pixel < width * height; pixel++) {
      for (let c = 0; c < 3; c++) rgba[pixel * 4 + c] = data[pixel * channels + (c % channels)];
    }
    return { data: rgba, width, height };
  }
}

/**
 * Lays images out row by row as one image, on mid-grey.
 * @param {Images} images
 * @param {number} [columns] Images a row; about a square by default.
 * @param {number} [gap] Pixels between neighbours; none around the outside.
 * @returns {Images}
 * @throws {PortError} `columns` is below 1 or `gap` below 0.
 */
export function grid(images, columns = Math.ceil(Math.sqrt(images.count)), gap = 2) {
  if (!(Number.isSafeInteger(columns) && columns > 0 && Number.isSafeInteger(gap) && gap >= 0)) {
    throw new PortError(`grid: expected columns of at least 1 and a gap of at least 0, found ${columns} and ${gap}`);
  }
  const across = Math.min(columns, images.count);
  const down = Math.ceil(images.count / across);
  const height = down * (images.height + gap) - gap;
  const width = across * (images.width + gap) - gap;
  const { channels } = images;
  const data = new Uint8Array(height * width * channels).fill(MID_GREY);
  const row = images.width * channels;
  for (let y = 0; y < images.count * images.height; y++) {
    const index = Math.floor(y / images.height);
    const top = Math.floor(index / across) * (images.height + gap) + (y % images.height);
    const left = (index % across) * (images.width + gap);
    data.set(images.data.subarray(y * row, (y + 1) * row), (top * width + left) * channels);
  }
  return new Images({ count: 1, height, width, channels, data });
}

/**
 * One image as a binary PPM file; grey becomes RGB with equal channels.
 * @param {Images} image
 * @throws {PortError} There are several: lay them out with `grid` first.
 */
export function ppm(image) {
  if (image.count !== 1) throw new PortError(`ppm: expected one image, found ${image.count}`);
  const { height, width, channels, data } = image;
  const head = new TextEncoder().encode(`P6\n${width} ${height}\n255\n`);
  const file = new Uint8Array(head.length + height * width * 3);
  file.set(head);
  for (let i = 0; i < height * width * 3; i++) file[head.length + i] = data[channels === 3 ? i : Math.floor(i / 3)];
  return file;
}

/**
 * Images as `encode` takes them: float32 [count, channels, height, width], each byte v as v / 127.5 - 1.
 * @param {Images} images
 */
export function imageTensor(images) {
  const values = new Float32Array(images.data.length);
  eachValue(images, (bytes, planes) => {
    values[planes] = Math.fround(images.data[bytes] / 127.5) - 1;
  });
  return new Tensor([images.count, images.channels, images.height, images.width], values);
}

/**
 * What `decode` gives as images: each value x as the whole number nearest to (x + 1) 127.5, an even one at a tie.
 * @param {Tensor} tensor float32 [count, channels, height, width], pixels in [-1, 1]; what lies outside is clamped.
 * @throws {PortError} The tensor holds no such images.
 */
export function tensorImages(tensor) {
  const { shape, dtype } = tensor;
  if (dtype !== "float32" || shape.length !== 4) {
    throw new PortError(`expected float32 [count, channels, height, width], found ${dtype} [${shape.join(", ")}]`);
  }
  const [count, channels, height, width] = shape;
  const images = new Images({ count, channels, height, width, data: new Uint8Array(tensor.data.length) });
  eachValue(images, (bytes, planes) => {
    const level = Math.fround(Math.fround(Number(tensor.data[planes]) + 1) * 127.5);
    images.data[bytes] = Math.min(Math.max(roundedToEven(level), 0), 255);
  });
  return images;
}

/**
 * Goes through the values of images: where one lies with the channels together, and where in planes, one a channel.
 * @param {Images} images
 * @param {(bytes: number, planes: number) => void} visit
 */
function eachValue({ count, height, width, channels }, visit) {
  const pixels = height * width;
  for (let index = 0; index < count * pixels; index++) {
    const first = Math.floor(index / pixels) * pixels * channels + (index % pixels);
    for (let c = 0; c < channels; c++) visit(index * channels + c, first + c * pixels);
  }
}

/**
 * The nearest whole number, an even one at a tie.
 * @param {number} value
 */
export function roundedToEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return floor + Number(rest > 0.5 || (rest === 0.5 && floor % 2 !== 0));
}
