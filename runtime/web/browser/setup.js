/** What the browser's tests share: the browser, the command under test, and a web server that knows nothing of us. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createReadStream, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, resolve, sep } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const { BUILD, CHROMIUM, GEN_EXPORT } = process.env;
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const GOLDEN = join(ROOT, "models_onnx", "golden");
export const SUITE = JSON.parse(readFileSync(join(GOLDEN, "golden.json"), "utf8"));

const { chromium } = createRequire(join(BUILD, "package.json"))("playwright-core");
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Headless Chromium. */
export const startBrowser = () => chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });

/**
 * A page of its own context that keeps all that a page should not say or ask: `page.faults`.
 *
 * @param {object} browser
 * @param {object} [options] of the context: viewport, colorScheme
 */
export async function openPage(browser, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure(); // ABORTED is what the browser makes of a page that is left
    if (errorText !== "net::ERR_ABORTED") page.faults.push(`${request.url()}: ${errorText}`);
  });
  page.on("request", (request) => page.origins.add(new URL(request.url()).origin));
  page.origins = new Set();
  return page;
}

/** `gen-export web` on a folder: its address, and how to end it. */
export async function serveModels(folder) {
  const server = spawn(GEN_EXPORT, ["web", folder, "--port", "0", "--onnxruntime-web", BUILD], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const line = await new Promise((heard) => createInterface(server.stdout).once("line", heard).once("close", heard));
  return { url: line.split(" ")[0], close: () => (server.kill("SIGINT"), ended(server)) };
}

/** Runs the command to its end. */
export const run = promisify(execFile).bind(null, GEN_EXPORT);

const ended = (child) => new Promise((done) => child.once("exit", done));

/**
 * A web server of folders, with no headers but those given.
 *
 * @param {Record<string, string>} folders by the path that they are under
 * @param {Record<string, string>} [headers]
 */
export async function servePlain(folders, headers = {}) {
  const server = createServer(async ({ url }, response) => {
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    const under = Object.keys(folders).find((prefix) => path.startsWith(prefix));
    const file = resolve(join(folders[under] ?? "", path.slice(under?.length)), path.endsWith("/") ? "index.html" : "");
    const found = under && file.startsWith(resolve(folders[under]) + sep) ? await stat(file).catch(() => null) : null;
    response.writeHead(found?.isFile() ? 200 : found ? 403 : 404, {
      ...headers,
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
    });
    if (found?.isFile()) createReadStream(file).pipe(response);
    else response.end();
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const close = () => (server.closeAllConnections(), new Promise((closed) => server.close(closed)));
  return { url: `http://localhost:${server.address().port}/`, close };
}

/** Starts the browser and the golden models' page before the tests of a file, and ends both after them. */
export function onGoldenPage({ before, after }) {
  const site = {};
  before(async () => {
    [site.browser, site.server] = await Promise.all([startBrowser(), serveModels(GOLDEN)]);
  });
  after(() => Promise.all([site.browser?.close(), site.server?.close()]));
  return site;
}

/**
 * A page of its own at an address, once its model is open.
 *
 * @param {{ browser: object, server: { url: string } }} site
 * @param {Record<string, string | number> | string} hash
 * @param {object} [options] of the context
 */
export async function startPage({ browser, server }, hash, options) {
  const page = await openPage(browser, options);
  await page.goto(`${server.url}#${new URLSearchParams(hash)}`);
  await page.waitForSelector("#tabs button");
  return page;
}

/** Runs `look` on a page of its own, which may not complain of anything nor ask for anything from elsewhere. */
export async function visit(site, hash, look, options) {
  const page = await startPage(site, hash, options);
  try {
    await look(page);
    requireNoFaults(page);
  } finally {
    await page.context().close();
  }
}

/** Refuses what a page complained of, and what it asked for from elsewhere. */
export function requireNoFaults(page) {
  const own = new URL(page.url()).origin;
  assert.deepEqual(page.faults, []);
  assert.deepEqual(
    [...page.origins].filter((origin) => origin !== own && origin !== "null"),
    [],
  ); // blobs have none
}

/** Waits until something is true in the page; playwright's own way of waiting is not allowed by the page's policy. */
export async function until(page, isTrue, value) {
  for (const end = Date.now() + 20_000; Date.now() < end; await page.waitForTimeout(30)) {
    if (await page.evaluate(isTrue, value)) return;
  }
  assert.fail(`${isTrue} is not true of ${value} after 20 s; the page says: ${await page.textContent("body")}`);
}

/** Waits until the page says something in its status line, or in the element of an id. */
export const says = (page, pattern, id = "status") =>
  until(page, ([where, text]) => new RegExp(text).test(document.getElementById(where).textContent), [
    id,
    pattern.source,
  ]);

/** Waits until the page has nothing more to do. */
export const idle = (page) => until(page, () => document.querySelector("main").ariaBusy === "false");

/** The bytes of canvases, height x width x channels each, one after the other, once the page is idle. */
export async function pixels(page, selector, channels) {
  await idle(page);
  return page.$$eval(
    selector,
    (canvases, n) =>
      canvases.flatMap((canvas) => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        return [...copy.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, at) => at % 4 < n);
      }),
    channels,
  );
}

/** Refuses bytes that are further apart than WebAssembly's may be: golden.json's `rules.wasm`. */
export function requireClose(found, expected) {
  assert.equal(found.length, expected.length);
  const off = found.filter((value, at) => value !== expected[at]).length;
  const most = Math.max(...found.map((value, at) => Math.abs(value - expected[at])));
  assert.ok(most <= 1 && off <= found.length / 1000, `${off} of ${found.length} bytes apart, by up to ${most}`);
}
