/** The suite that every host runs, in Chromium's WebAssembly. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { BUILD, GOLDEN, openPage, ROOT, servePlain, startBrowser, SUITE } from "./setup.js";

const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const FOLDERS = {
  "/golden/": GOLDEN,
  "/onnxruntime-web/": join(BUILD, "node_modules", "onnxruntime-web", "dist"),
  "/": join(ROOT, "runtime", "web"),
};

for (const threads of [1, 2]) {
  describe(`the suite in Chromium on ${threads} thread${threads > 1 ? "s" : ""}`, () => {
    let browser, server, page, result;

    before(async () => {
      [browser, server] = await Promise.all([startBrowser(), servePlain(FOLDERS, ISOLATED)]);
      page = await openPage(browser);
      await page.goto(`${server.url}browser/suite.html`);
      await page.waitForFunction("globalThis.runSuite");
      result = await page.evaluate((n) => globalThis.runSuite(n), threads);
    });
    after(() => Promise.all([browser.close(), server.close()]));

    test("it runs on as many threads, the page's own among them", (t) => {
      t.diagnostic(`floats at most ${Math.max(...result.outcomes.map(({ apart }) => apart ?? 0))} apart`);
      assert.deepEqual([result.isolated, result.threads], [true, threads]);
      assert.equal(page.workers().length, threads - 1);
    });

    for (const [at, name] of [
      ...SUITE.models.map(({ file }) => `the card of ${file}`),
      ...SUITE.cases.map((written) => written.name),
    ].entries()) {
      test(name, () => {
        assert.equal(result.outcomes[at].name, name);
        assert.equal(result.outcomes[at].wrong, undefined);
      });
    }
  });
}
