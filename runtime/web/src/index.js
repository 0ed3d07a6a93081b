/**
 * Run files that gen-export wrote, in a page, a worker or Node, with ONNX Runtime alone.
 *
 *     import { load } from "gen-runtime";
 *
 *     const model = await load("diffusion.onnx");
 *     const images = await model.sample({ count: 16, seed: 7, steps: 50 });
 */

export { DeviceError, FileError, GenRuntimeError, GraphError, PortError } from "./errors.js";
export { Graph } from "./graph.js";
export { grid, Images, imageTensor, ppm, tensorImages } from "./images.js";
export { load, Model } from "./model.js";
export { Tensor } from "./tensor.js";

/** @typedef {import("./card.js").Card} Card */
/** @typedef {import("./inputs.js").Tensors} Tensors */
/** @typedef {import("./inputs.js").Value} Value */
/** @typedef {import("./model.js").LoadOptions} LoadOptions */
/** @typedef {import("./model.js").SampleOptions} SampleOptions */
/** @typedef {import("./ports.js").Port} Port */
/** @typedef {import("./session.js").Device} Device */
/** @typedef {import("./session.js").OrtModule} OrtModule */
/** @typedef {import("./source.js").Source} Source */
/** @typedef {import("./tensor.js").DType} DType */
/** @typedef {import("./tensor.js").TypedArray} TypedArray */
