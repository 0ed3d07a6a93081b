/** Opening models: from paths, addresses and folder-like things, on devices, and what ONNX Runtime may do wrong. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";

import * as native from "onnxruntime-node";
import * as wasm from "onnxruntime-web/wasm";

import { load } from "../src/index.js";
import * as web from "../src/web.js";
import { bytesOf, path } from "./golden.js";
import { latents, runtimeThat } from "./support.js";

describe("a source", () => {
  test("is a path, a URL of a file, or a folder-like thing whose parts are read when they are called", async () => {
    /** @type {string[]} */
    const read = [];
    const folder = {
      name: "vae.onnx",
      read: async (/** @type {string} */ file) => (read.push(file), bytesOf(file.replace(".onnx", ""))),
    };
    const models = [await load(path("vae")), await load(pathToFileURL(path("vae"))), await load(folder)];
    const [first, ...others] = await Promise.all(models.map(async (model) => (await model.decode(latents(1))).image));
    for (const image of others) assert.deepEqual(image, first);
    assert.deepEqual(read, ["vae.onnx", "vae.decode.onnx"]);
    assert.equal(models[2].path, "vae.onnx");
  });

  test("is an address, whose query its parts keep", async () => {
    /** @type {(string | undefined)[]} */
    const asked = [];
    const files = new Map([
      ["/a%20b/50%25.onnx?key=1", "vae"],
      ["/a%20b/50%25.decode.onnx?key=1", "vae.decode"],
    ]);
    const server = createServer(({ url = "" }, response) => {
      asked.push(url);
      const file = files.get(url);
      response.writeHead(file !== undefined ? 200 : url === "/busy.onnx" ? 503 : 404);
      response.end(file && bytesOf(file));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    const address = (/** @type {string} */ file) => new URL(`http://127.0.0.1:${port}${file}`);
    const refusal = (/** @type {RegExp} */ message) => ({ name: "FileError", message });
    try {
      const model = await load(address("/a%20b/50%25.onnx?key=1"));
      await model.decode(latents(1));
      assert.deepEqual(asked, [...files.keys()]);
      await assert.rejects(
        model.encode(latents(1)),
        refusal(/needs its part encode: expected the file .*50%25\.encode/),
      );
      await assert.rejects(load(address("/none.onnx")), refusal(/\/none\.onnx: no such file$/));
      await assert.rejects(load(address("/busy.onnx")), refusal(/\/busy\.onnx: cannot be read: the server says 503$/));
    } finally {
      server.close();
      server.closeAllConnections();
    }
    await assert.rejects(load(address("/none.onnx")), refusal(/\/none\.onnx: cannot be read: /));
  });

  test("of a page is relative to it", () => {
    Object.assign(globalThis, { location: { href: "https://example.org/a/index.html" } });
    const place = web.placeOf("models/vae.onnx");
    assert.deepEqual([place.name, place.path(place.name)], ["vae.onnx", "https://example.org/a/models/vae.onnx"]);
    assert.equal(place.path("vae.decode.onnx"), "https://example.org/a/models/vae.decode.onnx");
    const odd = web.placeOf("models/%E9.onnx");
    assert.equal(odd.path(odd.name), "https://example.org/a/models/%E9.onnx");
    Reflect.deleteProperty(globalThis, "location");
  });

  test("whose part was missing is asked again", async () => {
    let isThere = false;
    const read = async (/** @type {string} */ file) => {
      if (file === "vae.decode.onnx" && !isThere) throw new Error("gone");
      return bytesOf(file.replace(".onnx", ""));
    };
    const model = await load({ name: "vae.onnx", read });
    await assert.rejects(model.decode(latents(1)), {
      name: "FileError",
      message: "vae.onnx needs its part decode: expected the file vae.decode.onnx",
    });
    isThere = true;
    assert.equal((await model.decode(latents(1))).image.shape[0], 1);
  });

  test("that fails, or gives no bytes, is refused by name", async () => {
    const failing = () => Promise.reject(new Error("no\nspace"));
    const text = async () => /** @type {any} */ ("text");
    await assert.rejects(load({ name: "a.onnx", read: failing }), {
      name: "FileError",
      message: "a.onnx: cannot be read: no",
    });
    await assert.rejects(load({ name: "a.onnx", read: text }), {
      name: "FileError",
      message: "a.onnx: expected a Uint8Array, found 'text'",
    });
  });
});

describe("a device", () => {
  test("is the CPU where nothing is said", async () => {
    assert.equal((await load(path("echo"))).device, "cpu");
  });

  for (const options of /** @type {any[]} */ ([{ device: "tpu" }, { threads: 0 }, { threads: 1.5 }])) {
    test(`${JSON.stringify(options)} is refused`, async () => {
      await assert.rejects(load(path("echo"), options), {
        name: "DeviceError",
        message: /^(device|threads): expected /,
      });
    });
  }

  test("that does not start is an error, unless the file is broken anyway", async () => {
    const options = /** @type {const} */ ({ device: "webgpu", ort: wasm, threads: 1 }); // a build without WebGPU
    await assert.rejects(load(path("echo"), options), {
      name: "DeviceError",
      message: /^device 'webgpu': it does not start: /,
    });
    const unknown = Buffer.from(bytesOf("broken/whole"));
    unknown.write("Odd", unknown.indexOf("Add")); // an operator that there is not
    const message = /^a\.onnx: ONNX Runtime cannot load it: /;
    await assert.rejects(load({ name: "a.onnx", read: async () => unknown }, options), { name: "FileError", message });
  });
});

test("threads are those of WebAssembly too", async () => {
  const ort = { ...native, env: { wasm: { numThreads: 0 } } };
  await load(path("echo"), { ort, threads: 2 });
  assert.equal(ort.env.wasm.numThreads, 2);
});

test("what is refused once it is open is closed", async () => {
  let open = 0;
  const create = async (/** @type {Uint8Array} */ bytes, /** @type {any} */ { executionProviders }) => {
    if (executionProviders[0] === "webgpu") throw new Error("no adapter");
    const session = await native.InferenceSession.create(bytes);
    const { inputMetadata, outputMetadata } = session;
    open += 1;
    const release = async () => ((open -= 1), session.release());
    return { inputMetadata, outputMetadata, run: session.run.bind(session), release };
  };
  const ort = { ...native, InferenceSession: { create } };
  await assert.rejects(load(path("broken/other_dtype"), { ort }), { name: "FileError" });
  assert.equal(open, 0);
  await assert.rejects(load(path("echo"), { ort, device: "webgpu" }), { name: "DeviceError" });
  assert.equal(open, 0);
  const model = await load(path("broken/swapped_part"), { ort });
  await assert.rejects(model.encode(latents(1)), /expected double encode, found double double/);
  assert.equal(open, 1);
  await model.dispose();
  assert.equal(open, 0);
});

describe("an error of ONNX Runtime", () => {
  test("while it runs says in one line which file it was", async () => {
    const failing = runtimeThat(async () => {
      throw new Error("[ONNXRuntimeError] : 6 : FAIL : it fell over\nat once");
    });
    const model = await load(path("vae.decode"), { ort: failing });
    const message = `${path("vae.decode")}: ONNX Runtime failed: it fell over`;
    await assert.rejects(model.decode(latents(1)), { name: "GenRuntimeError", message });
  });

  test("that gives another shape than the port's is the file's", async () => {
    const three = new native.Tensor("float32", new Float32Array(3 * 64), [3, 1, 8, 8]);
    const model = await load(path("vae.decode"), { ort: runtimeThat(async () => ({ image: three })) });
    const message = `${path("vae.decode")}: image: its port says [batch=2, 1, 8, 8], found [3, 1, 8, 8]`;
    await assert.rejects(model.decode(latents(2)), { name: "FileError", message });
  });

  test("whose WebAssembly is not found is no fault of the file", async () => {
    const create = () => Promise.reject(new Error("no available backend found. ERR: [wasm] not found"));
    const ort = { ...native, InferenceSession: { create } };
    const message = /^ONNX Runtime does not start: no available backend found/;
    await assert.rejects(load(path("echo"), { ort }), { name: "DeviceError", message });
  });
});
