/** Pictures, each an `Images` of one: on canvases, in files, and compared. */
import { Images } from "./gen-runtime/index.js";

/** Shows a picture on a canvas, a pixel for a pixel; the style sheet makes it large. */
export function show(canvas, picture) {
  const { data, width, height } = picture.toImageData(0);
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(data, width), 0, 0);
  return canvas;
}

/** The images of a sampler's output, uint8 [count, height, width, channels]. */
export function imagesOf({ shape: [count, height, width, channels], data }) {
  return new Images({ count, height, width, channels, data });
}

/** A new canvas that shows a picture. */
export const canvasOf = (picture) => show(document.createElement("canvas"), picture);

/** Saves a picture as a PNG file. */
export async function save(picture, name) {
  const blob = await new Promise((made) => canvasOf(picture).toBlob(made, "image/png"));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** An image file as a model takes it: the middle square of its shape, scaled, on white where it is transparent. */
export async function readImage(file, { width, height, channels }) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name || "the image"}: expected an image that this browser reads`);
  });
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
  const rgba = context.getImageData(0, 0, width, height).data;
  const value = channels === 1 ? (at) => luma(rgba, 4 * at) : (at) => rgba[4 * Math.floor(at / 3) + (at % 3)];
  return pictureOf({ width, height, channels }, value);
}

/** Grey as eyes weigh the colours, by ITU-R BT.601. */
const luma = (rgba, at) => Math.round(0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2]);

/** A picture of one size from the value at each place of its bytes. */
function pictureOf({ width, height, channels }, value) {
  const data = Uint8Array.from({ length: width * height * channels }, (_, at) => value(at));
  return new Images({ count: 1, width, height, channels, data });
}

/** The picture with black and white exchanged. */
export const inverted = (picture) => pictureOf(picture, (at) => 255 - picture.data[at]);

/** The middle third of a picture. */
export function middleOf(picture) {
  const [width, height] = [picture.width, picture.height].map((size) => Math.ceil(size / 3));
  const [left, top] = [(picture.width - width) >> 1, (picture.height - height) >> 1];
  const { channels } = picture;
  return pictureOf({ width, height, channels }, (at) => {
    const pixel = Math.floor(at / channels);
    const [x, y] = [left + (pixel % width), top + Math.floor(pixel / width)];
    return picture.data[(y * picture.width + x) * channels + (at % channels)];
  });
}

/** Where two pictures differ, the brighter the more, and their root mean square difference in grey levels. */
export function difference(a, b) {
  const picture = pictureOf(a, (at) => Math.abs(a.data[at] - b.data[at]));
  const squares = picture.data.reduce((sum, value) => sum + value * value, 0);
  return { picture, rms: Math.sqrt(squares / picture.data.length) };
}
