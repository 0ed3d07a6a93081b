/** One opened file: its card, and the session that runs it. */

import { requireDeclared } from "./agreement.js";
import { cardOf } from "./card.js";
import { FileError, GenRuntimeError, MalformedError, PortError } from "./errors.js";
import { checkInputs } from "./inputs.js";
import { readOnnx } from "./onnx.js";
import { fits, shapeText } from "./ports.js";
import { Session } from "./session.js";
import { reason } from "./text.js";

/** @typedef {import("./card.js").Card} Card */
/** @typedef {import("./inputs.js").Checked} Checked */
/** @typedef {import("./inputs.js").Tensors} Tensors */
/** @typedef {import("./inputs.js").Value} Value */
/** @typedef {import("./session.js").OrtModule} OrtModule */
/** @typedef {import("./session.js").UsedDevice} UsedDevice */

/** A graph that can be run, any number of times at once. */
export class Graph {
  /** @readonly @type {string} The file. */
  path;
  /** @readonly @type {Readonly<Card>} What the file says of itself. */
  card;
  #session;

  /**
   * @param {string} path
   * @param {Readonly<Card>} card
   * @param {Session} session
   */
  constructor(path, card, session) {
    this.path = path;
    this.card = card;
    this.#session = session;
  }

  /**
   * Opens a file whose bytes were read.
   * @param {string} path
   * @param {Uint8Array} bytes
   * @param {{ ort: OrtModule, device: UsedDevice, threads: number | undefined }} options
   * @returns {Promise<Graph>}
   * @throws {FileError} It is broken, not one of ours, or not as its card says.
   * @throws {import("./errors.js").DeviceError} The device does not start.
   */
  static async open(path, bytes, { ort, device, threads }) {
    const model = onnxOf(path, bytes);
    const card = cardOf(model.metadata, path);
    const session = await Session.open(ort, model, path, device, threads);
    try {
      requireDeclared(path, card, session, model.defaults);
    } catch (error) {
      await session.release();
      throw error;
    }
    return new Graph(path, card, session);
  }

  /**
   * Runs on inputs by name; every output by name.
   * @param {Readonly<Record<string, Value | undefined>>} inputs
   * @returns {Promise<Tensors>}
   * @throws {PortError} An input is missing, unknown, or not what its port says.
   */
  async run(inputs) {
    return this.execute(this.check(inputs));
  }

  /**
   * Runs on values in the order of the inputs.
   * @param {...Value} values
   * @returns {Promise<Tensors>}
   * @throws {PortError} There are too many values, or one is not what its port says.
   */
  async call(...values) {
    const { graph, inputs } = this.card;
    if (values.length > inputs.length) {
      throw new PortError(`${graph} takes ${inputs.length} inputs, found ${values.length}`);
    }
    return this.run(Object.fromEntries(values.map((value, index) => [inputs[index].name, value])));
  }

  /**
   * The inputs as the tensors that the ports declare.
   * @param {Readonly<Record<string, Value | undefined>>} inputs
   * @throws {PortError} An input is missing, unknown, or not what its port says.
   */
  check(inputs) {
    return checkInputs(this.card.graph, this.card.inputs, inputs);
  }

  /**
   * Runs on what `check` returned; every output by name.
   * @param {Checked} checked
   * @returns {Promise<Tensors>}
   * @throws {FileError} An output has another shape than its port.
   * @throws {GenRuntimeError} ONNX Runtime failed.
   */
  async execute({ tensors, axes }) {
    const outputs = await this.#outputs(tensors);
    const known = new Map(axes);
    for (const port of this.card.outputs) {
      const { shape } = outputs[port.name];
      if (fits(port, shape, known)) continue;
      const said = shapeText(port, known);
      throw new FileError(`${this.path}: ${port.name}: its port says ${said}, found [${shape.join(", ")}]`);
    }
    return outputs;
  }

  /** @param {Tensors} tensors */
  async #outputs(tensors) {
    try {
      return await this.#session.run(tensors);
    } catch (error) {
      throw new GenRuntimeError(`${this.path}: ONNX Runtime failed: ${reason(error)}`, { cause: error });
    }
  }

  /** Frees what the session holds; the graph cannot be run afterwards. */
  release() {
    return this.#session.release();
  }
}

/**
 * @param {string} path
 * @param {Uint8Array} bytes
 */
function onnxOf(path, bytes) {
  try {
    return readOnnx(bytes);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new FileError(`${path}: ONNX Runtime cannot load it: no ONNX model: ${error.message}`, { cause: error });
  }
}
