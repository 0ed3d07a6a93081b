/** A model: the file a user calls, and the parts beside it, opened when first called. */

import { FileError, GenRuntimeError, GraphError } from "./errors.js";
import { Graph } from "./graph.js";
import { Images } from "./images.js";
import { usedDevice } from "./session.js";
import { importOnnxruntime, partFile, placeOf } from "./source.js";
import { quoted } from "./text.js";
import { breath, positive, requireImages, requireIndices, windowOf } from "./windows.js";

/** @typedef {import("./inputs.js").Tensors} Tensors */
/** @typedef {import("./inputs.js").Value} Value */
/** @typedef {import("./session.js").Device} Device */
/** @typedef {import("./session.js").OrtModule} OrtModule */
/** @typedef {import("./session.js").UsedDevice} UsedDevice */
/** @typedef {import("./source.js").Place} Place */
/** @typedef {import("./source.js").Source} Source */

/**
 * How a file is opened.
 * @typedef {object} LoadOptions
 * @property {Device} [device] `cpu`, which is also what `auto` takes; `webgpu`, or `cuda` in Node: that or an error.
 * @property {number} [threads] Threads that one operator may use on the CPU; ONNX Runtime's choice by default. In a
 *   page, where they need cross-origin isolation, the first model decides for all.
 * @property {OrtModule} [ort] The module to use; by default onnxruntime-node in Node, onnxruntime-web elsewhere.
 */

/**
 * How a sampler is run.
 * @typedef {object} SampleOptions
 * @property {number} [batch] Images a run of the graph, 64 by default: it bounds the memory.
 * @property {(done: number, count: number) => void} [progress] Called after each batch.
 * @property {AbortSignal} [signal] Ends the drawing between two batches.
 */

/** The most bytes of one result: the largest typed array. */
const LARGEST_RESULT = 2 ** 32;

/**
 * Opens an exported file.
 * @param {string | URL | Source} source `<name>.onnx`, or one of its parts `<name>.<graph>.onnx`: a path in Node, an
 *   address in a page, or a folder-like thing.
 * @param {LoadOptions} [options]
 * @returns {Promise<Model>}
 * @throws {FileError} The file is missing, broken, not one of ours, or too new.
 * @throws {import("./errors.js").DeviceError} The device, or ONNX Runtime itself, is not there.
 */
export async function load(source, { device = "auto", threads, ort } = {}) {
  const used = usedDevice(device, threads);
  const place = await placeOf(source);
  const bytes = await place.read(place.name);
  const options = { ort: ort ?? (await importOnnxruntime()), device: used, threads };
  return new Model(place, await Graph.open(place.path(place.name), bytes, options), options);
}

/** Graphs by name, any number of which may be called at once. Made by `load`. */
export class Model {
  #place;
  #main;
  #options;
  /** @type {Map<string, Promise<Graph>>} */
  #opened = new Map();
  #isDisposed = false;

  /**
   * @param {Place} place
   * @param {Graph} main
   * @param {{ ort: OrtModule, device: UsedDevice, threads: number | undefined }} options
   */
  constructor(place, main, options) {
    this.#place = place;
    this.#main = main;
    this.#options = options;
    this.#opened.set(main.card.graph, Promise.resolve(main));
  }

  /** The file that was loaded. */
  get path() {
    return this.#main.path;
  }

  /** What the file says of itself. */
  get card() {
    return this.#main.card;
  }

  /** Where it runs. */
  get device() {
    return this.#options.device;
  }

  /** The names that can be called: the file's own graph, then its parts. */
  get graphs() {
    return [this.card.graph, ...this.card.parts];
  }

  /**
   * The graph of this name, opened when it is first asked for.
   * @param {string} name
   * @returns {Promise<Graph>}
   * @throws {GraphError} The file declares no such graph.
   * @throws {FileError} The part's file is missing, broken, or holds another graph.
   */
  async graph(name) {
    if (this.#isDisposed) throw new GenRuntimeError(`${this.path}: the model is disposed`);
    if (!this.graphs.includes(name)) {
      throw new GraphError(`${this.path} has no graph ${quoted(name)}: it has ${this.graphs.join(", ")}`);
    }
    let graph = this.#opened.get(name);
    if (graph === undefined) {
      graph = this.#openPart(name);
      this.#opened.set(name, graph);
      graph.catch(() => this.#opened.delete(name)); // the file may be there next time
    }
    return graph;
  }

  /**
   * Runs a graph on inputs by name; every output by name.
   * @param {string} graph
   * @param {Readonly<Record<string, Value | undefined>>} inputs
   * @returns {Promise<Tensors>}
   * @throws {import("./errors.js").PortError} An input is missing, unknown, or not what its port says.
   */
  async run(graph, inputs) {
    return (await this.graph(graph)).run(inputs);
  }

  /**
   * Runs a graph on values in the order of its inputs: `model.call("denoise", x, t)`.
   * @param {string} graph
   * @param {...Value} values
   * @returns {Promise<Tensors>}
   * @throws {import("./errors.js").PortError} There are too many values, or one is not what its port says.
   */
  async call(graph, ...values) {
    return (await this.graph(graph)).call(...values);
  }

  /**
   * `call("encode", ..)`.
   * @param {...Value} values
   */
  encode(...values) {
    return this.call("encode", ...values);
  }

  /**
   * `call("decode", ..)`.
   * @param {...Value} values
   */
  decode(...values) {
    return this.call("decode", ...values);
  }

  /**
   * `call("reconstruct", ..)`.
   * @param {...Value} values
   */
  reconstruct(...values) {
    return this.call("reconstruct", ...values);
  }

  /**
   * Draws images. Image i depends on `seed` and `first + i` alone, so neither `batch` nor `count` changes it.
   * @param {{ count?: Value, seed?: Value, first?: Value, [input: string]: Value | undefined }} [inputs] How many
   *   images, 1 by default; the seed, any int64, 0 by default; the index of the first image in the seed's endless row;
   *   and the file's further inputs: `steps`, `solver`.
   * @param {SampleOptions} [options]
   * @returns {Promise<Images>}
   * @throws {GraphError} The file declares no graph `sample`.
   * @throws {FileError} What it declares draws no images.
   * @throws {import("./errors.js").PortError} An input is unknown or not what its port says.
   * @throws {unknown} The signal's reason, once it is aborted.
   */
  async sample({ count = 1, seed = 0, first = 0, ...inputs } = {}, { batch = 64, progress, signal } = {}) {
    const graph = await this.graph("sample");
    requireImages(graph);
    const { height, width, channels } = graph.card.image;
    const pixels = height * width * channels;
    const total = positive("count", count, Math.floor(LARGEST_RESULT / pixels));
    const size = Math.min(positive("batch", batch), total);
    const checked = graph.check({ ...inputs, seed, first, count: size });
    requireIndices(checked.tensors.first, total);
    const data = new Uint8Array(total * pixels);
    for (let done = 0; done < total; done += size) {
      if (done > 0) await breath();
      signal?.throwIfAborted();
      const now = Math.min(size, total - done);
      const outputs = await graph.execute(windowOf(checked, done, now));
      data.set(/** @type {Uint8Array} */ (outputs[graph.card.outputs[0].name].data), done * pixels);
      progress?.(done + now, total);
    }
    return new Images({ count: total, height, width, channels, data });
  }

  /**
   * Frees what ONNX Runtime holds, once the runs that wait for it are done; the model cannot be called afterwards. A
   * call that would run a graph after that, for its next batch, fails.
   */
  async dispose() {
    this.#isDisposed = true;
    const opened = [...this.#opened.values()];
    this.#opened.clear();
    const graphs = await Promise.allSettled(opened);
    await Promise.all(graphs.map((graph) => graph.status === "fulfilled" && graph.value.release()));
  }

  /**
   * Opens a part and checks that it is the one meant.
   * @param {string} name
   */
  async #openPart(name) {
    const file = partFile(this.#place.name, name);
    const path = this.#place.path(file);
    const bytes = await this.#place.read(file).catch((error) => {
      throw new FileError(`${this.path} needs its part ${name}: expected the file ${path}`, { cause: error });
    });
    const part = await Graph.open(path, bytes, this.#options);
    const { family, graph } = part.card;
    if (family === this.card.family && graph === name) return part;
    await part.release();
    throw new FileError(`${path}: expected ${this.card.family} ${name}, found ${family} ${graph}`);
  }
}
