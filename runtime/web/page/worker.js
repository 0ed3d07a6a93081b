/**
 * The side of the page that runs models, in a worker of its own so that the page never waits.
 *
 * It holds one open model. A message `{id, method, args}` is answered by any number of `{id, part}` and then
 * `{id, result}` or `{id, error}`; `{id, method: "cancel"}` ends the call of that id at its next batch.
 */
import * as ort from "./onnxruntime-web/ort.wasm.min.mjs";
import { load, Tensor } from "./gen-runtime/index.js";

const THREADS = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
const BATCH_MS = 700; // pictures come about this often, and a cancel is heard as often
const MOST = 64;

const running = new Map();
let opened = null;

const methods = {
  start: async () => ({ threads: THREADS }),

  /** Opens a model in the place of the one before; its card, and each graph's ports. */
  async open({ source, graphs }, _, signal) {
    const model = await open(source);
    const unwanted = signal.aborted ? model : opened; // another was asked for while this one was read
    if (!signal.aborted) opened = model;
    await unwanted?.dispose();
    signal.throwIfAborted();
    return { card: plain(model.card), graphs: graphs ?? (await portsOf(model)) };
  },

  run: ({ graph, inputs }) => outputsOf(opened, graph, inputs),

  draw: (args, post, signal) => draw(opened, args, post, signal),

  /** One picture of another model, which is closed again. */
  async borrow({ source, seed }) {
    const model = await open(source);
    try {
      return await model.sample({ count: 1, seed });
    } finally {
      await model.dispose();
    }
  },
};

/** Draws pictures in batches that grow until each takes about BATCH_MS, and posts them as they come. */
async function draw(model, { inputs, count, first }, post, signal) {
  for (let done = 0, size = 1; done < count;) {
    await new Promise((heard) => setTimeout(heard)); // a cancel that waits in the queue is heard now
    signal.throwIfAborted();
    const n = Math.min(size, count - done);
    const began = performance.now();
    const images = await model.sample({ ...inputs, count: n, first: first + BigInt(done) }, { batch: n, signal });
    done += n;
    post(images);
    size = Math.max(1, Math.min(MOST, 4 * n, Math.round((n * BATCH_MS) / (performance.now() - began))));
  }
}

async function outputsOf(model, graph, inputs) {
  const tensors = Object.entries(inputs).map(([name, value]) => [name, value?.shape ? revived(value) : value]);
  return model.run(graph, Object.fromEntries(tensors));
}

/** The tensor that a message carried as a plain object. */
const revived = ({ shape, data, dtype }) => new Tensor(shape, data, dtype);

/** The ports of the graphs whose files are there. */
async function portsOf(model) {
  const found = {};
  for (const name of model.graphs) {
    const graph = await model.graph(name).catch(() => null);
    if (graph) found[name] = plain({ inputs: graph.card.inputs, outputs: graph.card.outputs });
  }
  return found;
}

/** Opens a model of the server's, by its address, or one of dropped files, by name. */
function open({ url, name, files }) {
  return load(url ?? { name, read: (file) => bytesOf(files, file) }, { device: "cpu", threads: THREADS, ort });
}

async function bytesOf(files, name) {
  const file = files.find((one) => one.name === name);
  if (!file) throw new Error("it is not among the files that were opened");
  return new Uint8Array(await file.arrayBuffer());
}

const plain = (value) => JSON.parse(JSON.stringify(value));

self.onmessage = async ({ data: { id, method, args } }) => {
  if (method === "cancel") return running.get(id)?.abort();
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const result = await methods[method](args, (part) => self.postMessage({ id, part }), controller.signal);
    self.postMessage({ id, result });
  } catch (error) {
    self.postMessage({ id, error: { name: error.name, message: error.message } });
  } finally {
    running.delete(id);
  }
};
