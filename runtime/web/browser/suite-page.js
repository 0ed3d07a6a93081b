/** Runs the suite in the page that loads it. */
import * as ort from "/onnxruntime-web/ort.wasm.min.mjs";
import { load } from "/src/index.js";
import { checkCard, checkCase, WASM } from "/tests/suite.js";

/** What is beside the suite; a file that is not there says why, as a folder-like thing would. */
async function read(folder, file) {
  const response = await fetch(`${folder}/${file}`);
  if (response.status === 403) throw new Error("expected an .onnx file, found a folder");
  if (!response.ok) throw new Error("no such file");
  return new Uint8Array(await response.arrayBuffer());
}

function opener(threads) {
  const models = new Map();
  return (file) => {
    const parts = `/golden/${file}.onnx`.split("/");
    const [name, folder] = [parts.pop(), parts.join("/")];
    if (!models.has(file)) models.set(file, load({ name, read: (part) => read(folder, part) }, { ort, threads }));
    return models.get(file);
  };
}

/** The outcome of every case and card: a name, how far apart floats are, and what went wrong. */
globalThis.runSuite = async (threads) => {
  const suite = await (await fetch("/golden/golden.json")).json();
  const open = opener(threads);
  const cards = suite.models.map((entry) => [
    `the card of ${entry.file}`,
    async () => checkCard(await open(entry.file), entry),
  ]);
  const cases = suite.cases.map((written) => [written.name, () => checkCase(open, written, WASM)]);
  const outcomes = [];
  for (const [name, check] of [...cards, ...cases]) {
    outcomes.push(
      await check().then(
        (apart) => ({ name, apart: apart ?? 0 }),
        (error) => ({ name, wrong: error.message }),
      ),
    );
  }
  return { isolated: globalThis.crossOriginIsolated, threads: ort.env.wasm.numThreads, outcomes };
};
