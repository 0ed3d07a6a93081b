/**
 * What can be done with a model, read from its graphs and their ports.
 *
 * @typedef {{ name: string, dtype: string, shape: (number|string)[], description: string, minimum: ?number,
 *   maximum: ?number, default: ?number, optional: boolean, choices?: string[] }} Port
 * @typedef {{ inputs: Port[], outputs: Port[] }} Ports
 * @typedef {{ name: string, card: any, graphs: Record<string, Ports> }} OpenModel
 */
import { SCHEME } from "./noise.js";

const OWN = new Set(["seed", "count", "first"]);

/** @param {OpenModel} model */
export function abilities({ card, graphs }) {
  const planes = [card.image.channels, card.image.height, card.image.width];
  const latents = findDecoder(graphs, planes, "float32", 1);
  const codes = findDecoder(graphs, planes, "int64", 2);
  const between = findBetween(card, graphs);
  return {
    draw: findDraw(graphs),
    latents: latents && {
      ...latents,
      encoder: findEncoder(graphs, latents.port),
      noise: between && fits(between.noise, latents.port),
      prior: findPrior(graphs, latents.port),
    },
    codes: codes && { ...codes, encoder: findEncoder(graphs, codes.port), noise: false },
    between,
    rebuild: findRebuild(graphs, planes),
  };
}

/** Inputs of `sample` that a form can ask for, beside seed, count and first. */
function findDraw({ sample }) {
  const settings = sample?.inputs.filter((port) => !OWN.has(port.name) && port.shape.length === 0);
  const complete = sample?.inputs.every((port) => port.shape.length === 0 || port.optional);
  return complete ? { ports: sample.inputs.filter((port) => port.shape.length === 0), settings } : null;
}

/** A graph from one input, of so many fixed axes after the first, and settings perhaps, to an image. */
function findDecoder(graphs, planes, dtype, axes) {
  for (const [graph, { inputs, outputs }] of Object.entries(graphs)) {
    const [port, ...settings] = inputs;
    const image = outputs.find((output) => isImage(output, planes));
    const sizes = port?.shape.slice(1).filter(Number.isInteger);
    const kind = port?.dtype === dtype && port.shape.length === axes + 1 && sizes.length === axes;
    if (kind && image && settings.every(isSetting)) return { graph, port, settings, image: image.name };
  }
  return null;
}

/** The graph and output that give from an image what a decoder takes. */
function findEncoder({ encode }, taken) {
  const [image, ...settings] = encode?.inputs ?? [];
  const output = settings.every(isSetting) && encode?.outputs.find((port) => isSame(port, taken));
  return output ? { graph: "encode", input: image.name, output: output.name } : null;
}

/** The graph that makes of normal numbers what a decoder takes; null where the decoder takes them as they are. */
function findPrior(graphs, taken) {
  for (const [graph, { inputs, outputs }] of Object.entries(graphs)) {
    const [numbers, ...settings] = inputs;
    const output = outputs.find((port) => port.name === taken.name && isSame(port, taken));
    if (output && settings.every(isSetting) && isSame(numbers, taken))
      return { graph, input: numbers.name, output: output.name };
  }
  return null;
}

/** A sampler that takes its noise, where the noise is normal and of the kind that we can make from a seed. */
function findBetween(card, { sample_from_noise: sampler }) {
  const noise = sampler?.inputs.find((port) => port.name === "noise");
  const rest = sampler?.inputs.filter((port) => port !== noise);
  const ours = card.noise?.scheme === SCHEME && card.noise.law === "standard normal" && noise?.dtype === "float32";
  if (!ours || !rest.every((port) => port.optional)) return null;
  return { noise, settings: rest.filter((port) => port.shape.length === 0) };
}

function findRebuild({ reconstruct }, planes) {
  const image = reconstruct?.inputs.find((port) => isImage(port, planes));
  const mask = reconstruct?.inputs.find((port) => port.dtype === "bool" && port.shape.length === 3) ?? null;
  const outputs = reconstruct?.outputs.filter((port) => isImage(port, planes));
  const complete = reconstruct?.inputs.every((port) => port === image || port === mask || port.optional);
  return image && complete && outputs.length ? { image, mask, outputs } : null;
}

const isImage = (port, planes) =>
  port.dtype === "float32" && port.shape.length === 4 && same(port.shape.slice(1), planes);
const isSetting = (port) => port.optional && port.shape.length === 0;
const isSame = (port, other) => port.dtype === other.dtype && fits(port, other);
const fits = (port, other) => same(port.shape.slice(1), other.shape.slice(1));
const same = (a, b) => a.length === b.length && a.every((axis, i) => axis === b[i]);
