/** ONNX Runtime's sessions on the device that was asked for, never silently on another; one at work at a time. */

import { DeviceError, FileError } from "./errors.js";
import { Tensor } from "./tensor.js";
import { quoted, reason } from "./text.js";

/** @typedef {"auto" | "cpu" | "webgpu" | "cuda"} Device */
/** @typedef {"cpu" | "webgpu" | "cuda"} UsedDevice */
/** @typedef {import("./tensor.js").DType} DType */
/** @typedef {import("./inputs.js").Tensors} Tensors */
/** @typedef {import("./onnx.js").OnnxModel} OnnxModel */

/** @typedef {{ readonly type: string, readonly dims: readonly number[], readonly data: any }} OrtTensor */

/**
 * What a session says of an input or output.
 * @typedef {object} OrtValue
 * @property {string} name
 * @property {string} [type] None where it is no tensor.
 * @property {readonly (number | string)[]} [shape]
 */

/**
 * What is used of a session of onnxruntime-node or onnxruntime-web.
 * @typedef {object} OrtSession
 * @property {readonly OrtValue[]} inputMetadata
 * @property {readonly OrtValue[]} outputMetadata
 * @property {(feeds: any) => Promise<Record<string, any>>} run
 * @property {() => Promise<void>} release
 */

/**
 * What is used of the modules onnxruntime-node and onnxruntime-web.
 * @typedef {object} OrtModule
 * @property {{ create(model: Uint8Array, options?: any): Promise<OrtSession> }} InferenceSession
 * @property {new (type: any, data: any, dims: readonly number[]) => OrtTensor} Tensor
 * @property {{ wasm: { numThreads?: number } }} env
 */

const DEVICES = ["auto", "cpu", "webgpu", "cuda"];
const ERRORS_ONLY = 3;
const NO_BACKEND = "no available backend found";

/** @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * Does one piece of work after another: in a page, ONNX Runtime refuses a second while the first waits for the GPU.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
function inTurn(work) {
  const result = last.then(work);
  last = result.catch(() => undefined);
  return result;
}

/**
 * The device that a model runs on. `auto` is the CPU: these packages do not say whether a GPU is there.
 * @param {Device} device
 * @param {number | undefined} threads
 * @returns {UsedDevice}
 * @throws {DeviceError} One of the two is not a choice.
 */
export function usedDevice(device, threads) {
  if (!DEVICES.includes(device)) {
    throw new DeviceError(`device: expected ${DEVICES.join(", ")}, found ${quoted(device)}`);
  }
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads > 0)) {
    throw new DeviceError(`threads: expected a whole number of at least 1, found ${quoted(threads)}`);
  }
  return device === "auto" ? "cpu" : device;
}

/** A session whose values are this package's tensors. */
export class Session {
  #ort;
  #session;
  /** @type {Record<string, OrtTensor>} */
  #defaults = {};

  /**
   * @param {OrtModule} ort
   * @param {OrtSession} session
   * @param {Map<string, Tensor>} defaults The values of inputs that are left out.
   */
  constructor(ort, session, defaults) {
    this.#ort = ort;
    this.#session = session;
    for (const [name, tensor] of defaults) this.#defaults[name] = this.#theirs(tensor);
  }

  /**
   * A session of a model in memory.
   * @param {OrtModule} ort
   * @param {OnnxModel} model
   * @param {string} path The file it was read from, for messages.
   * @param {UsedDevice} device
   * @param {number | undefined} threads Threads that one operator may use on the CPU. WebAssembly starts its threads
   *   once: the first session of a page decides.
   * @throws {FileError} ONNX Runtime cannot load it.
   * @throws {DeviceError} The device does not start.
   */
  static async open(ort, model, path, device, threads) {
    if (threads !== undefined) ort.env.wasm.numThreads = threads;
    const options = { logSeverityLevel: ERRORS_ONLY, ...(threads !== undefined && { intraOpNumThreads: threads }) };
    const on = (/** @type {UsedDevice} */ provider) =>
      inTurn(() => ort.InferenceSession.create(model.bytes, { ...options, executionProviders: [provider] }));
    const onCpu = () => on("cpu").catch((error) => Promise.reject(refusal(path, error)));
    if (device === "cpu") return new Session(ort, await onCpu(), model.defaults);
    const session = await on(device).catch(async (error) => {
      await (await onCpu()).release(); // a file that is broken everywhere says so, and not that the device is
      throw new DeviceError(`device '${device}': it does not start: ${reason(error)}`, { cause: error });
    });
    return new Session(ort, session, model.defaults);
  }

  /** What the model says of its inputs, all of which must be given. */
  get inputs() {
    return this.#session.inputMetadata;
  }

  /** What the model says of its outputs. */
  get outputs() {
    return this.#session.outputMetadata;
  }

  /**
   * Runs the model; every output by name.
   * @param {Tensors} tensors Those of the inputs that are not left out.
   * @returns {Promise<Tensors>}
   */
  async run(tensors) {
    const values = { ...this.#defaults };
    for (const [name, tensor] of Object.entries(tensors)) values[name] = this.#theirs(tensor);
    const results = await inTurn(() => this.#session.run(values));
    /** @type {Tensors} */
    const outputs = {};
    for (const [name, value] of Object.entries(results)) outputs[name] = ours(value);
    return outputs;
  }

  /** Frees what the session holds, once the runs that wait are done. */
  release() {
    return inTurn(() => this.#session.release());
  }

  /** @param {Tensor} tensor */
  #theirs({ dtype, data, shape }) {
    return new this.#ort.Tensor(dtype, data, shape);
  }
}

/**
 * Why there is no session on the CPU: the file, or ONNX Runtime whose WebAssembly was not found.
 * @param {string} path
 * @param {unknown} error
 */
function refusal(path, error) {
  const words = reason(error);
  if (words.startsWith(NO_BACKEND)) return new DeviceError(`ONNX Runtime does not start: ${words}`, { cause: error });
  return new FileError(`${path}: ONNX Runtime cannot load it: ${words}`, { cause: error });
}

/** @param {OrtTensor} tensor */
function ours({ type, dims, data }) {
  return new Tensor(dims, data, /** @type {DType} */ (type));
}
