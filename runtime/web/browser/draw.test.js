/** The page draws the suite's pictures: what is on the canvases is what golden.json says. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { onGoldenPage, pixels, requireClose, requireNoFaults, says, startPage, SUITE, visit } from "./setup.js";

const CHOSEN = ["solver", "label"]; // which the page asks for by name alone
const DRAWN = SUITE.cases.filter(
  ({ graph, outputs, inputs }) => graph === "sample" && outputs && CHOSEN.every((name) => !inputs[name]?.values),
);
const MODELS = [...new Set(DRAWN.map(({ file }) => file))];

/** Fills the form with a case's inputs, and leaves its other fields as they were. */
async function fill(page, inputs, others) {
  const texts = Object.entries(inputs).map(([name, { choice, values }]) => [name, choice ?? String(values[0])]);
  for (const [name, text] of Object.entries({ ...others, ...Object.fromEntries(texts) })) {
    const field = page.locator(`#draw-field-${name}`);
    const chosen = await field.evaluate(({ localName }) => localName === "select");
    await (chosen ? field.selectOption(text) : field.fill(text));
  }
}

describe("the page draws", () => {
  const site = onGoldenPage({ before, after });

  for (const model of MODELS) {
    describe(`with ${model}`, () => {
      let page, defaults;

      before(async () => {
        page = await startPage(site, { model, count: 1 });
        await says(page, /1 picture of seed/);
        defaults = await page.$$eval("#draw-controls [name]", (fields) =>
          Object.fromEntries(fields.map(({ name, value }) => [name, value])),
        );
      });
      after(() => page.context().close());

      for (const { name, inputs, outputs } of DRAWN.filter(({ file }) => file === model)) {
        test(name, async () => {
          const [count, , , channels] = outputs.images.shape;
          await fill(page, inputs, defaults);
          await page.click("#draw-go");
          requireClose(await pixels(page, "#draw-grid canvas", channels), outputs.images.values);
          assert.equal(await page.locator("#draw-grid canvas").count(), count);
          requireNoFaults(page);
        });
      }
    });
  }

  test("on threads of its own, so that the page never waits", () =>
    visit(site, { model: "diffusion", steps: 100, count: 256 }, async (page) => {
      assert.equal(await page.evaluate("crossOriginIsolated"), true);
      assert.match(await page.textContent("#engine"), /on \d+ threads/);
      await page.waitForSelector("#draw-grid canvas");
      const times = await page.evaluate(
        () =>
          new Promise((done) => {
            const found = [];
            const tick = (now) => (found.push(now) < 60 ? requestAnimationFrame(tick) : done(found));
            requestAnimationFrame(tick);
          }),
      );
      const frame = (times[59] - times[0]) / 59;
      assert.ok(frame < 200, `a frame takes ${frame} ms`); // a batch takes several times as long
      await page.click("#draw-cancel");
      await page.waitForSelector("#draw-go", { state: "visible" });
      assert.ok((await page.locator("#draw-grid canvas").count()) < 256);
      await page.fill("#draw-field-count", "2");
      await page.click("#draw-go");
      await says(page, /2 pictures of seed 7 in/);
    }));

  test("again what a link says", async () => {
    let link, drawn;
    await visit(site, { model: "vae", count: 3 }, async (page) => {
      await says(page, /3 pictures of seed 7/);
      await page.click("#draw-next");
      await says(page, /3 pictures of seed 8/);
      [link, drawn] = [new URL(page.url()).hash.slice(1), await pixels(page, "#draw-grid canvas", 1)];
    });
    await visit(site, link, async (page) => {
      await says(page, /3 pictures of seed 8/);
      assert.deepEqual(await pixels(page, "#draw-grid canvas", 1), drawn);
      const pasted = page.evaluate((hash) => void (location.hash = hash.replace("seed=8", "seed=9")), link);
      await Promise.all([page.waitForEvent("load"), pasted]);
      await page.waitForSelector("#tabs button");
      await says(page, /3 pictures of seed 9/);
    });
  });

  test("a picture large, which is saved as it is", () =>
    visit(site, { model: "vae", seed: 7, count: 3 }, async (page) => {
      await says(page, /3 pictures/);
      const drawn = await pixels(page, "#draw-grid canvas", 1);
      await page.click("#draw-grid li:nth-child(2) button");
      assert.deepEqual(await pixels(page, "#viewer-picture", 1), drawn.slice(64, 128));
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#viewer-save")]);
      assert.equal(download.suggestedFilename(), "vae-seed-7-1.png");
      await page.click("#viewer-on");
      assert.deepEqual(await pixels(page, "#viewer-picture", 1), drawn.slice(128));
      assert.equal(await page.textContent("#viewer-title"), "Picture 2 of seed 7");
    }));
});
